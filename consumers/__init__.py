"""Class-based WebSocket applications for ASGI, on asyncio and on trio."""
