"""Augmentation in the program: pure functions of a key and a batch of images (NHWC)."""

from ._affine import affine as affine
from ._affine import rotate as rotate
from ._affine import scale as scale
from ._affine import shift as shift
from ._color import brightness as brightness
from ._color import contrast as contrast
from ._color import hue as hue
from ._color import noise as noise
from ._color import saturation as saturation
from ._crop import crop as crop
from ._crop import cutout as cutout
from ._crop import flip as flip
from ._elastic import elastic as elastic
from ._mix import cutmix as cutmix
from ._mix import mixup as mixup
