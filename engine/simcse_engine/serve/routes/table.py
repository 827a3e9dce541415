"""All routes."""

from . import openai, operations, tei
from .route import Route

ROUTES: tuple[Route, ...] = (*openai.ROUTES, *tei.ROUTES, *operations.ROUTES)
