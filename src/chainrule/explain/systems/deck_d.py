"""The pages of deck D."""

from __future__ import annotations

from chainrule.explain.page import Page

PAGES: tuple[Page, ...] = ()
