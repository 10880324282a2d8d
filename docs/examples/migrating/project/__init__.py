"""A Django project: what stays as it is when its sockets move."""
