"""The zoo of networks. Importing it registers every variant."""

from litescene.models import classification, detection, restoration, segmentation
from litescene.models.pooling import pools_of, replace_pools
from litescene.models.registry import Variant, create_model, list_models, register, variant
from litescene.models.spec import InputSpec

__all__ = [
    "InputSpec",
    "Variant",
    "classification",
    "create_model",
    "detection",
    "list_models",
    "pools_of",
    "register",
    "replace_pools",
    "restoration",
    "segmentation",
    "variant",
]
