# SPDX-License-Identifier: MIT
"""examples/vitrine.py: its structs are those of vitrine.h, and its answers those of the command.

The environment says where things are: CC, VT_COMMAND, VT_SOURCE_DIR, VITRINE_LIBRARY.
"""
import ctypes
import gc
import json
import os
import subprocess
import sys
import tempfile
import threading
import unittest
from unittest import mock

import numpy as np

SOURCE = os.environ["VT_SOURCE_DIR"]
sys.path.insert(0, os.path.join(SOURCE, "examples"))
sys.dont_write_bytecode = True
import vitrine  # noqa: E402

MODEL = os.path.join(SOURCE, "weights", "emoji-vit")
CLIP = os.path.join(SOURCE, "tests", "data", "golden", "hf_clip")
RAINBOW = os.path.join(SOURCE, "images", "emoji", "rainbow_noto_224.png")
CRAYON = os.path.join(SOURCE, "images", "emoji", "crayon_emojione_128.webp")


def run(*arguments):
    """Runs a program, without the sanitizer that may have been loaded into Python."""
    environment = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    return subprocess.run(arguments, capture_output=True, env=environment, text=True)


def command(*arguments):
    ran = run(os.environ["VT_COMMAND"], *arguments)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def same(one, other):
    return (one.predictions == other.predictions and np.array_equal(one.pooled, other.pooled) and
            (one.image_embeds is None) == (other.image_embeds is None) and
            (one.image_embeds is None or np.array_equal(one.image_embeds, other.image_embeds)))


class Layout(unittest.TestCase):
    def compile(self, structs, grow=0):
        """Asks a C compiler whether every field, and the struct's end, is at the same place."""
        lines = ["#include <vitrine.h>"]
        for struct in structs:
            name = struct.__name__
            lines.append(f'_Static_assert(sizeof({name}) == {ctypes.sizeof(struct) + grow}, "{name}");')
            for field, *_ in struct._fields_:
                place = getattr(struct, field)
                lines.append(f'_Static_assert(offsetof({name}, {field}) == {place.offset}, "{field}");')
                lines.append(f'_Static_assert(sizeof((({name} *)0)->{field}) == {place.size}, "{field}");')
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "layout.c")
            with open(path, "w") as file:
                file.write("\n".join(lines) + "\n")
            return run(os.environ["CC"], "-std=c11", "-fsyntax-only", "-I", os.path.join(SOURCE, "include"), path)

    def test_structs(self):
        structs = [value for value in vars(vitrine).values()
                   if isinstance(value, type) and issubclass(value, ctypes.Structure)
                   and value.__name__.startswith("vt_")]
        self.assertEqual(len(structs), 6)
        ran = self.compile(structs)
        self.assertEqual((ran.returncode, ran.stderr), (0, ""))
        self.assertIn('static assertion failed: "vt_frame"', self.compile(structs, grow=8).stderr)


class Answers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.model = vitrine.Model(MODEL)
        cls.session = cls.model.session()
        cls.rainbow = vitrine.read(RAINBOW)
        [cls.expected] = cls.session.run([cls.rainbow])

    def test_as_the_command(self):
        said = json.loads(command("classify", "-m", MODEL, "--format=json", RAINBOW))
        self.assertEqual([label for label, _ in self.expected.predictions],
                         [entry["label"] for entry in said["predictions"]])
        np.testing.assert_allclose([score for _, score in self.expected.predictions],
                                   [entry["score"] for entry in said["predictions"]], rtol=1e-5)
        self.assertIsNone(self.expected.image_embeds)

    def test_embeddings(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "rows.npy")
            command("embed", "-m", CLIP, "-o", path, RAINBOW, CRAYON)
            rows = np.load(path)
        session = vitrine.Model(CLIP).session(batch=2)
        found = session.run([self.rainbow, vitrine.read(CRAYON)], top_k=0)
        np.testing.assert_allclose([result.image_embeds for result in found], rows, rtol=1e-5, atol=1e-6)
        self.assertEqual(found[0].predictions, [])
        with self.assertRaisesRegex(vitrine.Error, "no classifier"):
            session.run([self.rainbow])

    def test_views_are_not_copied(self):
        height, width = self.rainbow.shape[:2]
        room = np.random.default_rng(1).integers(0, 256, (height + 9, width + 7, 3), np.uint8)
        view = room[4:4 + height, 5:5 + width]
        view[:] = self.rainbow
        self.assertTrue(same(self.session.run([view])[0], self.expected))
        frame = vitrine._frame_of(vitrine._in_rows(view), False)
        self.assertEqual(frame.planes[0], room.ctypes.data + (4 * (width + 7) + 5) * 3)
        self.assertEqual(frame.strides[0], (width + 7) * 3)

    def test_other_views(self):
        twice = np.repeat(np.repeat(self.rainbow, 2, axis=0), 2, axis=1)
        turned = np.ascontiguousarray(self.rainbow.transpose(1, 0, 2)).transpose(1, 0, 2)
        for view in (twice[::2, ::2], twice[:, ::2][::2], self.rainbow[::-1].copy()[::-1], turned):
            self.assertTrue(same(self.session.run([view])[0], self.expected))
        row = np.broadcast_to(self.rainbow[100], self.rainbow.shape)
        self.assertTrue(same(self.session.run([row])[0], self.session.run([row.copy()])[0]))

    def test_channels(self):
        alpha = np.full(self.rainbow.shape[:2] + (1,), 77, np.uint8)
        for channels in (self.rainbow, np.concatenate([self.rainbow, alpha], axis=2)):
            self.assertTrue(same(self.session.run([channels])[0], self.expected))
        bgr = self.rainbow[..., ::-1].copy()
        for channels in (bgr, np.concatenate([bgr, alpha], axis=2)):
            self.assertTrue(same(self.session.run([channels], bgr=True)[0], self.expected))
        self.assertFalse(same(self.session.run([bgr])[0], self.expected))
        gray = self.rainbow[..., 1]
        [found] = self.session.run([gray])
        self.assertTrue(same(found, self.session.run([np.stack([gray] * 3, axis=2)])[0]))

    def test_not_pictures(self):
        for array in (self.rainbow.astype(np.float32), self.rainbow[..., :2], self.rainbow[0, 0], [[1, 2]]):
            with self.assertRaisesRegex(ValueError, "uint8"):
                self.session.run([array])
        with self.assertRaises(vitrine.Error):
            self.session.run([self.rainbow[:0]])
        with self.assertRaises(vitrine.Error):
            self.session.run([self.rainbow] * 2)
        with self.assertRaises(vitrine.Error):
            self.session.run([])

    def test_batch_and_size(self):
        session = self.model.session(batch=3, height=160, width=96, num_threads=1)
        alone = self.model.session(height=160, width=96)
        pictures = [self.rainbow, vitrine.read(CRAYON), self.rainbow[20:90, 30:200]]
        found = session.run(pictures, top_k=1000)
        self.assertEqual([len(result.predictions) for result in found], [650] * 3)
        for picture, result in zip(pictures, found):
            self.assertTrue(same(alone.run([picture], top_k=1000)[0], result))

    def test_threads(self):
        found = [None] * 4

        def work(i):
            found[i] = self.model.session().run([self.rainbow])[0]
        threads = [threading.Thread(target=work, args=(i,)) for i in range(len(found))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for result in found:
            self.assertTrue(same(result, self.expected))

    def test_cancel(self):
        """Nothing runs, so nothing is cancelled."""
        self.session.cancel()
        self.assertTrue(same(self.session.run([self.rainbow])[0], self.expected))

    def test_model_outlives_its_name(self):
        session = vitrine.Model(MODEL).session()
        self.assertTrue(same(session.run([self.rainbow])[0], self.expected))

    def test_session_goes_first(self):
        """Also when the two are garbage together, in a cycle."""
        gone = []
        close, destroy = vitrine._model_close, vitrine._session_destroy
        with mock.patch.multiple(vitrine, _model_close=lambda handle: gone.append("model") or close(handle),
                                 _session_destroy=lambda handle: gone.append("session") or destroy(handle)):
            session = vitrine.Model(MODEL).session()
            session.itself = session
            del session
            gc.collect()
        self.assertEqual(gone, ["session", "model"])

    def test_errors(self):
        with self.assertRaisesRegex(vitrine.Error, "^nowhere: ") as caught:
            vitrine.Model("nowhere")
        self.assertNotEqual(caught.exception.code, 0)
        with self.assertRaisesRegex(vitrine.Error, "none.png"):
            vitrine.read("none.png")
        with self.assertRaises(vitrine.Error):
            self.model.session(height=2**40, width=2**40)


class Script(unittest.TestCase):
    def run_script(self, *arguments):
        ran = subprocess.run([sys.executable, os.path.join(SOURCE, "examples", "vitrine.py"), *arguments],
                             capture_output=True, text=True)
        return ran.returncode, ran.stdout, ran.stderr

    def test_script(self):
        good = f"{RAINBOW}  98.7% rainbow\n"
        self.assertEqual(self.run_script(MODEL, RAINBOW), (0, good, ""))
        self.assertEqual(self.run_script(MODEL, "none.png", RAINBOW),
                         (1, good, "none.png: No such file or directory\n"))
        self.assertEqual(self.run_script(MODEL), (1, "", "usage: vitrine.py MODEL IMAGE...\n"))
        code, out, err = self.run_script("nowhere", RAINBOW)
        self.assertEqual((code, out, err.count("\n")), (1, "", 1))


if __name__ == "__main__":
    unittest.main()
