"""Authorization: permissions, roles, API keys, and the guard that every route declares."""

from policy.admission import Admission
from policy.declarations import check_routes, list_route_grants
from policy.guard import public, require_permission
from policy.install import Policy, install_policy
from policy.permissions import PERMISSIONS
from policy.principal import Principal
from policy.roles import roles

__all__ = [
    "PERMISSIONS",
    "Admission",
    "Policy",
    "Principal",
    "check_routes",
    "install_policy",
    "list_route_grants",
    "public",
    "require_permission",
    "roles",
]
