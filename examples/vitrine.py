# SPDX-License-Identifier: MIT
"""vitrine through ctypes: NumPy arrays in; labels, scores and vectors out.

    python3 vitrine.py MODEL IMAGE...

    import vitrine
    session = vitrine.Model("weights/emoji-vit").session()
    [result] = session.run([array])      # uint8, [height, width, 3] or a view of such
    result.predictions                   # [("rainbow", 0.987), ...], best first
    result.pooled, result.image_embeds   # float32 vectors

Needs NumPy and libvitrine.so.0; the environment's VITRINE_LIBRARY may say where that is.
"""
import ctypes
import os
import sys
import weakref
from collections import namedtuple
from ctypes import POINTER, byref, c_bool, c_char, c_char_p, c_double, c_float, c_int, c_size_t, c_void_p

import numpy as np

# ---- vitrine.h: structs and functions of the same names --------------------------------------------


class vt_error(ctypes.Structure):
    _fields_ = [("code", c_int), ("message", c_char * 512)]


class vt_image(ctypes.Structure):
    _fields_ = [("width", c_size_t), ("height", c_size_t), ("stride", c_size_t), ("pixels", c_void_p),
                ("full_width", c_size_t), ("full_height", c_size_t)]


class vt_prediction(ctypes.Structure):
    _fields_ = [("index", c_size_t), ("score", c_float)]


class Sized(ctypes.Structure):
    """A struct that begins with its own size, as the _INIT macros set it."""

    def __init__(self, **fields):
        super().__init__(struct_size=ctypes.sizeof(self), **fields)


class vt_frame(Sized):
    _fields_ = [("struct_size", c_size_t), ("format", c_int), ("width", c_size_t), ("height", c_size_t),
                ("planes", c_void_p * 3), ("strides", c_size_t * 3), ("size", c_size_t), ("matrix", c_int),
                ("full_range", c_bool), ("crop_left", c_size_t), ("crop_top", c_size_t),
                ("crop_width", c_size_t), ("crop_height", c_size_t), ("rotate", ctypes.c_uint),
                ("mirror", c_bool)]


class vt_result(Sized):
    _fields_ = [("struct_size", c_size_t), ("predictions", POINTER(vt_prediction)), ("top_k", c_size_t),
                ("logits", c_void_p), ("pooled", c_void_p), ("image_embeds", c_void_p),
                ("features", c_void_p), ("num_predictions", c_size_t), ("decode_ms", c_double),
                ("preprocess_ms", c_double), ("forward_ms", c_double), ("input_height", c_size_t),
                ("input_width", c_size_t)]


class vt_session_options(Sized):
    _fields_ = [("struct_size", c_size_t), ("height", c_size_t), ("width", c_size_t), ("batch", c_size_t),
                ("text_batch", c_size_t), ("text_tokens", c_size_t), ("cache_tokens", c_size_t),
                ("rope_length", c_size_t), ("features", c_bool), ("merge", c_size_t),
                ("num_threads", c_size_t), ("threads", c_void_p), ("attention", c_bool)]


class Error(Exception):
    """What the library has to say: one line. `code` is the vt_status."""

    def __init__(self, err):
        super().__init__(err.message.decode(errors="replace"))
        self.code = err.code


_library = ctypes.CDLL(os.environ.get("VITRINE_LIBRARY", "libvitrine.so.0"))


def _function(name, result, *arguments):
    function = _library[name]
    function.restype = result
    function.argtypes = arguments
    return function


def _checked(name, *arguments):
    """A function that returns a vt_status, and whose last argument is a vt_error."""
    function = _function(name, c_int, *arguments, POINTER(vt_error))

    def call(*values):
        err = vt_error()
        if function(*values, byref(err)):
            raise Error(err)
    return call


_image_read = _checked("vt_image_read", POINTER(vt_image), c_char_p, c_void_p)
_image_free = _function("vt_image_free", None, POINTER(vt_image))
_format_from_name = _function("vt_pixel_format_from_name", c_int, c_char_p)
_model_open = _checked("vt_model_open", POINTER(c_void_p), c_char_p, c_void_p)
_model_close = _function("vt_model_close", None, c_void_p)
_model_label = _function("vt_model_label", c_char_p, c_void_p, c_size_t)
_model_embed_dim = _function("vt_model_embed_dim", c_size_t, c_void_p)
_session_create = _checked("vt_session_create", POINTER(c_void_p), c_void_p, POINTER(vt_session_options))
_session_destroy = _function("vt_session_destroy", None, c_void_p)
_session_pooled_width = _function("vt_session_pooled_width", c_size_t, c_void_p)
_session_run = _checked("vt_session_run", c_void_p, POINTER(vt_result), POINTER(vt_frame), c_size_t)
_session_cancel = _function("vt_session_cancel", None, c_void_p)

# ---- pictures --------------------------------------------------------------------------------------


def read(path):
    """A picture file as an array: uint8 [height, width, 3], RGB."""
    image = vt_image()
    _image_read(byref(image), os.fsencode(path), None)
    memory = (ctypes.c_uint8 * (image.height * image.stride)).from_address(image.pixels)
    rows = np.frombuffer(memory, np.uint8).reshape(image.height, image.stride)
    array = rows[:, :3 * image.width].reshape(image.height, image.width, 3).copy()
    _image_free(byref(image))
    return array


_FORMATS = {False: {1: "gray8", 3: "rgb24", 4: "rgba"}, True: {1: "gray8", 3: "bgr24", 4: "bgra"}}


def _channels(array):
    return array.shape[2] if array.ndim == 3 else 1


def _in_rows(array):
    """The array itself, or, of a view whose pixels are not adjacent in a row (array[:, ::2]), a copy."""
    array = np.asarray(array)
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or array.shape[2:] not in ((), (3,), (4,)):
        raise ValueError("a picture is uint8 [height, width], or [height, width, 3 or 4], "
                         f"not {array.dtype} {list(array.shape)}")
    pixel = _channels(array)
    adjacent = array.strides[1:] == (pixel, 1)[:array.ndim - 1]
    return array if adjacent and array.strides[0] >= array.shape[1] * pixel else array.copy("C")


def _frame_of(array, bgr):
    """A vt_frame over the array's memory."""
    name = _FORMATS[bgr][_channels(array)]
    return vt_frame(format=_format_from_name(name.encode()), width=array.shape[1], height=array.shape[0],
                    planes=(array.ctypes.data,), strides=(array.strides[0],))


# ---- models ----------------------------------------------------------------------------------------

Result = namedtuple("Result", "predictions pooled image_embeds")


class Model:
    """A checkpoint. May be shared by threads."""

    def __init__(self, path):
        self._handle = c_void_p()
        _model_open(byref(self._handle), os.fsencode(path), None)
        weakref.finalize(self, _model_close, self._handle)

    def session(self, **options):
        """What runs it. Options are those of vt_session_options: height, width, batch, num_threads..."""
        return Session(self, **options)


class Session:
    """One thread's at a time, but for cancel(). Other threads of Python go on while it runs."""

    def __init__(self, model, **options):
        self._model = model
        self._handle = c_void_p()
        _session_create(byref(self._handle), model._handle, byref(vt_session_options(**options)))
        # names the model, so that it is closed afterwards
        weakref.finalize(self, lambda handle, _: _session_destroy(handle), self._handle, model)

    def run(self, arrays, top_k=5, bgr=False):
        """A Result for each array; as many as the option `batch` says, 1 if it says nothing. top_k=0 is for models
        that have no classes; `bgr`: the channels are blue, green, red(, alpha), as OpenCV has them."""
        arrays = [_in_rows(array) for array in arrays]
        count = len(arrays)
        predictions = [(vt_prediction * top_k)() for _ in arrays]
        pooled = np.empty((count, _session_pooled_width(self._handle)), np.float32)
        embeds = np.empty((count, _model_embed_dim(self._model._handle)), np.float32)
        frames = (vt_frame * count)(*(_frame_of(array, bgr) for array in arrays))
        results = (vt_result * count)(*(
            vt_result(predictions=predictions[i] if top_k else None, top_k=top_k,
                      pooled=pooled[i].ctypes.data,
                      image_embeds=embeds[i].ctypes.data if embeds.size else None)
            for i in range(count)))
        _session_run(self._handle, results, frames, count)
        return [Result([(self._label(best[k].index), best[k].score) for k in range(result.num_predictions)],
                       pooled[i], embeds[i] if embeds.size else None)
                for i, (result, best) in enumerate(zip(results, predictions))]

    def cancel(self):
        """From another thread: what runs raises Error. A deadline: threading.Timer(0.1, session.cancel)."""
        _session_cancel(self._handle)

    def _label(self, index):
        return _model_label(self._model._handle, index).decode(errors="replace")


def main(model, *paths):
    """Prints the best class of each picture; whether all could be read and run."""
    session = Model(model).session()
    good = True
    for path in paths:
        try:
            [result] = session.run([read(path)], top_k=1)
            label, score = result.predictions[0]
            print(f"{path}  {score:.1%} {label}")
        except Error as error:
            print(error, file=sys.stderr)
            good = False
    return good


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit("usage: vitrine.py MODEL IMAGE...")
    try:
        sys.exit(not main(*sys.argv[1:]))
    except Error as error:
        sys.exit(str(error))
