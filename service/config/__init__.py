"""Every setting of the service, and what one model has of its own: read once, frozen, handed on in small parts.

Knows no running thing.
"""

from service.config.bounds import Bounds
from service.config.fields import ADDRESS, PREFIX
from service.config.keys import Holder, Keyring, Scope, entry, make
from service.config.kubernetes import injected_here
from service.config.limits import ConnectionLimits, Limits
from service.config.model_config import Plan, PlanError
from service.config.naming import check_names, default_model
from service.config.plans import plan, read_plan
from service.config.reading import read_settings
from service.config.settings import Settings
from service.config.sharing import excess, share_of
from service.config.splits import CanaryRules, Split, make_split

__all__ = [
    "ADDRESS",
    "PREFIX",
    "Bounds",
    "CanaryRules",
    "ConnectionLimits",
    "Holder",
    "Keyring",
    "Limits",
    "Plan",
    "PlanError",
    "Scope",
    "Settings",
    "Split",
    "check_names",
    "default_model",
    "entry",
    "excess",
    "injected_here",
    "make",
    "make_split",
    "plan",
    "read_plan",
    "read_settings",
    "share_of",
]
