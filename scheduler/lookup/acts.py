"""What people did, page by page."""

from __future__ import annotations

from scheduler.runtime import Runtime
from scheduler.store import paging
from scheduler.store.lookup import audit_listing
from scheduler.store.lookup.audit_listing import AuditFilter, AuditRow
from scheduler.store.paging import PageWindow, RowPage


def page(rt: Runtime, chosen: AuditFilter, window: PageWindow) -> RowPage[AuditRow]:
    """Return one page of acts."""
    with rt.db.begin() as tx:
        return paging.read(tx, audit_listing.AUDIT, audit_listing.condition(chosen), window)
