"""The data stream, splits and data sets."""

from ._datasets import DataSet as DataSet
from ._datasets import digits as digits
from ._datasets import mnist as mnist
from ._idx import read_idx as read_idx
from ._membrane import Segmentation as Segmentation
from ._membrane import membrane as membrane
from ._source import Source as Source
from ._split import rows as rows
from ._split import split as split
from ._stream import gather as gather
from ._stream import index as index
from ._stream import padded_batches as padded_batches
from ._stream import steps_until as steps_until
from ._text import Characters as Characters
from ._text import Text as Text
from ._text import tiny_shakespeare as tiny_shakespeare
from ._text import windows as windows
