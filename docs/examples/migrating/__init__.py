"""The same programs before and after: with other frameworks, and with consumers."""
