"""All routes."""

from . import operations, tei
from .route import Route

ROUTES: tuple[Route, ...] = (*tei.ROUTES, *operations.ROUTES)
