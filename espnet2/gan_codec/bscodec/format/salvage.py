"""What can still be had of a damaged ``.bsc`` file.

Where a block lies follows from the header alone, so one that is damaged moves none of the others.
Entropy-coded blocks, whose sizes are their own, are searched for.
"""

from collections.abc import Callable, Iterator

import numpy as np

from espnet2.gan_codec.bscodec.format.bitstream import BscReader
from espnet2.gan_codec.bscodec.format.header import BitstreamError

MISSING = -1  # every code of a block that is lost
MAX_BLOCKS = 1000  # for each that is there: a forged header asks for terabytes of silence


def salvage(reader: BscReader, damaged: Callable[[str], object]) -> Iterator[np.ndarray]:
    """Yield every block of codes; one that is lost is full of ``MISSING``.

    Args:
        reader: of a file of any size.
        damaged: called with a line about each damaged block, and one about all that are cut off.

    Raises:
        BitstreamError: there is no undamaged block, or less than a thousandth of the blocks.
    """
    if reader.header.predictor:
        reader.coder()  # to have none is no damage
    there, total = reader.num_blocks_there, reader.header.num_blocks
    if there and total > there * MAX_BLOCKS:
        raise BitstreamError(
            f"{reader.name}: nothing to salvage: {there} of {total} blocks are there"
        )
    num_good = 0
    for index in range(there):
        try:
            block = reader.read_block(index)
            num_good += 1
        except BitstreamError as error:
            damaged(str(error))
            block = _missing_block(reader, index)
        yield block
    if not num_good:
        raise BitstreamError(f"{reader.name}: nothing to salvage: no block is undamaged")
    if reader.wrong_size:
        damaged(f"{reader.name}: {_cut_off(reader)}{reader.wrong_size}")
    for index in range(there, total):
        yield _missing_block(reader, index)


def _missing_block(reader: BscReader, index: int) -> np.ndarray:
    shape = (*reader.header.codes_shape, reader.header.frames_of_block(index))
    return np.full(shape, MISSING, dtype=np.int64)


def _cut_off(reader: BscReader) -> str:
    first, last = reader.num_blocks_there + 1, reader.header.num_blocks
    if first > last:
        return ""
    which = f"block {last} of {last}" if first == last else f"blocks {first}-{last} of {last}"
    times = reader.times(first - 1, last - 1)
    return f"{which} {times} {'is' if first == last else 'are'} missing: "
