"""All routes."""

from . import entries, openai, operations, page, tei
from .route import Route

ROUTES: tuple[Route, ...] = (*page.ROUTES, *openai.ROUTES, *tei.ROUTES, *entries.ROUTES, *operations.ROUTES)
