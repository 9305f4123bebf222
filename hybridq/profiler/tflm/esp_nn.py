"""What the kernels of ESP-NN for the ESP32-S3 ask for: scratch, of which 1.2.3 needs much more than 1.1.

Sources: github.com/espressif/esp-nn, src/convolution/esp_nn_conv_esp32s3.c and esp_nn_depthwise_conv_s8_esp32s3.c, at
v1.1.2 (the same since 2023) and at commit d45b843 (1.2.3); github.com/espressif/esp-tflite-micro, commit 99f49e1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hybridq.profiler.tflm.buffers import Buffers, Call, pads_of, unpacked
from hybridq.profiler.tflm.model import INT8
from hybridq.profiler.tflm.structs import rounded

MOST_WIDENED = 48 * 1024  # bytes of a depthwise layer's input and kernels as 16 bits that it widens at once
MOST_PADDED = 40 * 1024  # bytes of an input that it pads at once


@dataclass(frozen=True)
class _Window:
    """A convolution: rows, columns and channels of what it reads and gives, of its kernel; strides and padding."""

    rows: int
    columns: int
    channels: int
    rows_out: int
    columns_out: int
    filters: int
    height: int
    width: int
    strides: tuple[int, int]
    pads: tuple[int, int]

    @property
    def taps(self) -> int:
        return self.height * self.width

    @property
    def pixels(self) -> int:
        return self.rows * self.columns

    def beyond(self) -> tuple[int, int]:
        """Rows and columns that its kernel reaches beyond the input at the bottom and to the right, if any."""
        return (
            self.rows_out * self.strides[0] + self.height - 1 - self.rows,
            self.columns_out * self.strides[1] + self.width - 1 - self.columns,
        )

    def padded(self, rows: int, columns: int, channels: int) -> int:
        """Bytes of its input with so many rows and columns around it."""
        return (self.rows + rows) * (self.columns + columns) * channels


def convolution(before: bool) -> Callable[[Call], Buffers]:
    """A convolution's buffers, in the versions to 1.1 or in 1.2.3."""
    return lambda call: _buffers(call, _window(call, 5, 4), 0, _convolution_before if before else _convolution)


def depthwise(before: bool) -> Callable[[Call], Buffers]:
    """A depthwise convolution's buffers."""

    def buffers(call: Call) -> Buffers:
        multiplier = call.number(3, 1)
        scratch = _depthwise_before if before else _depthwise
        return _buffers(call, _window(call, 6, 5), 3, lambda window: scratch(window, multiplier))

    return buffers


def softmax(call: Call) -> Buffers:
    """A number for each place along the second axis."""
    source = call.input(0)
    return Buffers((), (4 * source.shape[1],) if source and source.type == INT8 and len(source.shape) > 1 else ())


def _buffers(call: Call, window: _Window, axis: int, scratch: Callable[[_Window], int]) -> Buffers:
    kept = (4 * call.shape(1)[axis],) * 2
    return Buffers(kept, (*unpacked(call), *((scratch(window),) if call.type() == INT8 else ())))


def _window(call: Call, dilation_rows: int, dilation_columns: int) -> _Window:
    (_, rows, columns, channels), (_, height, width, _), (_, out, across, filters) = (
        call.shape(0),
        call.shape(1),
        call.result,
    )
    strides = call.number(2), call.number(1)
    pads = pads_of(call, strides, (call.number(dilation_rows, 1), call.number(dilation_columns, 1)))
    return _Window(rows, columns, channels, out, across, filters, height, width, strides, pads)


def _pointwise(window: _Window) -> int | None:
    """The weights copied, and pixels of a number of channels that is no multiple of 8; None for another window."""
    if window.taps != 1 or any(window.pads) or window.strides != (1, 1):
        return None
    channels = rounded(window.channels, 8)
    turned = 16 * channels if window.pixels >= 8 else 0
    return channels * window.filters + turned + (window.pixels * channels if window.channels % 8 else 0)


def _convolution_before(window: _Window) -> int:
    pointwise = _pointwise(window)
    if pointwise is not None:
        return pointwise + 32
    input_ = window.padded(2 * window.pads[0], 2 * window.pads[1], window.channels) if any(window.pads) else 0
    return input_ + window.taps * rounded(window.channels, 16) * window.filters + 4 * window.filters + 32


def _convolution(window: _Window) -> int:
    pointwise = _pointwise(window)
    if pointwise is not None:
        return pointwise + 64
    row, taps = window.width * window.channels, window.taps * window.channels
    if row < 16 <= taps:
        return 4 * window.filters + 16 + (window.filters + 1) * rounded(taps, 16) + 16 + 64
    aligned = rounded(row, 16) * window.height * window.filters
    rows, columns = (max(count, 0) for count in window.beyond())
    edge = window.padded(rows, columns, window.channels) if rows or columns else 0
    return _convolution_before(window) + 32 + aligned + edge


def _depthwise_before(window: _Window, multiplier: int) -> int:
    kernels = window.taps * window.channels * multiplier
    widened = 2 * (kernels + window.pixels * window.channels) + 16
    if multiplier == 1 and window.channels % 8 == 0 and window.height == window.width == 3:
        return kernels + _with_edge(window) + 16 if window.channels % 16 == 0 else widened
    return widened if multiplier % 4 == 0 else 32


def _with_edge(window: _Window) -> int:
    """The input of a 3 x 3 kernel with what it reaches beyond; 0 where that is nothing."""
    rows, columns = (2 * pad for pad in window.pads) if any(window.pads) else window.beyond()
    return window.padded(rows, columns, window.channels) if rows or columns else 0


def _depthwise(window: _Window, multiplier: int) -> int:
    kernels, channels = window.taps * window.channels * multiplier, window.channels
    widened = 2 * (kernels + window.pixels * channels) + 32
    if multiplier != 1:
        return widened if multiplier % 4 == 0 else 32
    if channels % 8:
        return _rounded_channels(window) if channels > 3 else 32
    if window.height != 3 or window.width != 3:
        strip = 2 * (kernels + window.columns * window.height * channels) + 32
        return widened if widened - 32 <= MOST_WIDENED else strip
    if channels % 16 == 0:
        whole = _with_edge(window)
        columns = 2 * window.pads[1] if any(window.pads) else window.beyond()[1]
        strip = (window.columns + columns) * window.height * channels
        return kernels + (whole if whole <= MOST_PADDED else strip) + 16
    if channels < 12:
        return widened
    wide, (rows, columns) = rounded(channels, 16), (max(count, 0) for count in window.beyond())
    around = window.padded(2 * window.pads[0] + rows, 2 * window.pads[1] + columns, wide)
    return 9 * wide + around + window.rows_out * window.columns_out * wide + 64


def _rounded_channels(window: _Window) -> int:
    """Kernels and input as 16 bits, the result, and three numbers a channel: of the next multiple of 8 channels."""
    channels = rounded(window.channels, 8)
    size = 0
    for part in (
        2 * window.taps * channels,
        2 * window.pixels * channels,
        window.rows_out * window.columns_out * channels,
    ):
        size = rounded(size + part, 16)
    return size + 12 * channels + 16
