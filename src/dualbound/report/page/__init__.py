"""One self-contained HTML file that shows all that a study has answered."""

from __future__ import annotations

from dualbound.report.page.build import as_page, save_page

__all__ = ["as_page", "save_page"]
