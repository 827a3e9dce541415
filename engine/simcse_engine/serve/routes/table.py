"""All routes."""

from . import openai, operations, page, tei
from .index import changes, entries, search
from .route import Route

ROUTES: tuple[Route, ...] = (
    *page.ROUTES,
    *openai.ROUTES,
    *tei.ROUTES,
    *search.ROUTES,
    *changes.ROUTES,
    *entries.ROUTES,
    *operations.ROUTES,
)
