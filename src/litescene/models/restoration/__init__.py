"""Networks that make pictures: super-resolution and interpolation; importing registers them."""

from litescene.models.restoration import edsr_light, unet_interpolation

__all__ = ["edsr_light", "unet_interpolation"]
