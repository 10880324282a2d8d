"""Schemas: AsyncAPI documents, TypeScript, the page."""
