"""A chat with a language model, for which `small` stands; `page` is what is served."""
