"""Attacks on a server of ours in a process of its own, beside a bystander.

- ``application``: what is attacked
- ``bystander``: an honest client in a process of its own, who times its echo
- ``assaults``: what attackers do
- ``unguarded``: the application on a server without one guard, for the controls
- ``stage``: runs one, and judges it
- ``__main__``: runs them all and writes a page: ``make attacks``
"""
