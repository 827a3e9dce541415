"""All routes."""

from . import openai, operations, page, tei
from .route import Route

ROUTES: tuple[Route, ...] = (*page.ROUTES, *openai.ROUTES, *tei.ROUTES, *operations.ROUTES)
