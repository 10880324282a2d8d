"""What docs/examples does: each program in process, on servers, and in a browser.

- ``chatting``: what a page of the chat does, without a page
- ``chat_pages``: the pages of the chat, in a browser
- ``screenshots``: makes the pictures that the documentation shows
"""
