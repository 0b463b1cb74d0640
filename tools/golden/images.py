#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes tests/data/images: small pictures in every format that vitrine reads, what Pillow makes of
each (alpha pasted on white, EXIF orientation applied), and index.json, which lists the pairs.

    python3 tools/golden/images.py tests/data/images
"""
import io
import json
import pathlib
import struct
import sys
import zlib

import numpy as np
from PIL import Image, ImageOps

ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2),
         (0, 1, 1, 2)]  # x0, y0, dx, dy
HEIGHT, WIDTH = 13, 19

out = pathlib.Path(sys.argv[1])
out.mkdir(parents=True, exist_ok=True)
cases = []


def add(name, data, expected):
    """One pair; `expected` is an array [height][width][3] of bytes."""
    (out / name).write_bytes(data)
    stem = name.replace('.', '_') + '_rgb.png'
    Image.fromarray(expected.astype(np.uint8), 'RGB').save(out / stem, optimize=True)
    cases.append({'input': name, 'rgb': stem})


def on_white(image):
    image = ImageOps.exif_transpose(image)
    if image.mode == 'P' and 'transparency' not in image.info:
        image = image.convert('RGB')
    if image.mode in ('RGB', 'L', 'CMYK', '1', 'I;16'):
        return np.asarray(image.convert('RGB'))
    image = image.convert('RGBA')
    white = Image.new('RGB', image.size, 'white')
    white.paste(image, mask=image.getchannel('A'))
    return np.asarray(white)


def add_pillow(name, data):
    add(name, data, on_white(Image.open(io.BytesIO(data))))


def encode(image, fmt, **options):
    buffer = io.BytesIO()
    image.save(buffer, fmt, **options)
    return buffer.getvalue()


# ---- a picture with edges, ramps and noise ----
rng = np.random.default_rng(7)
ys, xs = np.mgrid[0:HEIGHT, 0:WIDTH]
rgb = np.stack([xs * 255 // (WIDTH - 1), ys * 255 // (HEIGHT - 1), (xs + ys) % 5 * 60], -1)
rgb = np.clip(rgb + rng.integers(-9, 10, rgb.shape), 0, 255).astype(np.uint8)
alpha = np.clip(xs * 20 - 40, 0, 255).astype(np.uint8)
gray = rgb[..., 1]
picture = Image.fromarray(rgb, 'RGB')
picture_alpha = Image.fromarray(np.dstack([rgb, alpha]), 'RGBA')


# ---- PNG: Pillow writes too few kinds of it ----
def chunk(name, data):
    return struct.pack('>I', len(data)) + name + data + struct.pack('>I', zlib.crc32(name + data))


def pack_rows(samples, depth):
    """samples [height][width][channels] to PNG scanlines, filter 0."""
    rows = b''
    for row in samples:
        flat = row.reshape(-1)
        if depth == 16:
            data = flat.astype('>u2').tobytes()
        elif depth == 8:
            data = flat.astype(np.uint8).tobytes()
        else:
            bits = ''.join(format(int(v), f'0{depth}b') for v in flat)
            bits += '0' * (-len(bits) % 8)
            data = int(bits, 2).to_bytes(len(bits) // 8, 'big')
        rows += b'\0' + data
    return rows


def png(samples, color_type, depth, interlaced=False, before=(), after=()):
    height, width = samples.shape[:2]
    header = struct.pack('>IIBBBBB', width, height, depth, color_type, 0, 0, int(interlaced))
    if interlaced:
        data = b''.join(pack_rows(samples[y::dy, x::dx], depth) for x, y, dx, dy in ADAM7
                        if samples[y::dy, x::dx].size)
    else:
        data = pack_rows(samples, depth)
    body = b''.join(chunk(*c) for c in before) + chunk(b'IDAT', zlib.compress(data, 9))
    body += b''.join(chunk(*c) for c in after) + chunk(b'IEND', b'')
    return b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header) + body


def blend(color, mask):
    t = color.astype(int) * mask + 255 * (255 - mask.astype(int)) + 128
    return (t + (t >> 8)) >> 8


def to_rgb(samples):
    return np.repeat(samples, 3, -1) if samples.shape[-1] == 1 else samples


GRAY, RGB, PALETTE, GRAY_ALPHA, RGBA = 0, 2, 3, 4, 6
for interlaced in (False, True):
    tag = '_adam7' if interlaced else ''
    for depth in (1, 2, 4, 8, 16):
        top = (1 << depth) - 1
        samples = (gray.astype(int) * top // 255)[..., None]
        expected = samples >> 8 if depth == 16 else samples * 255 // top
        add(f'gray{depth}{tag}.png', png(samples, GRAY, depth, interlaced), to_rgb(expected))
    for depth in (1, 2, 4, 8):
        palette = rng.integers(0, 256, (1 << depth, 3)).astype(np.uint8)
        opacity = rng.integers(0, 256, 1 << depth).astype(np.uint8)
        samples = (gray.astype(int) * ((1 << depth) - 1) // 255)[..., None]
        chunks = [(b'PLTE', palette.tobytes()), (b'tRNS', opacity.tobytes())]
        expected = blend(palette[samples[..., 0]], opacity[samples])
        add(f'palette{depth}{tag}.png', png(samples, PALETTE, depth, interlaced, chunks), expected)
    wide = rgb.astype(int) * 257 ^ rng.integers(0, 256, rgb.shape)
    add(f'rgb8{tag}.png', png(rgb, RGB, 8, interlaced), rgb)
    add(f'rgb16{tag}.png', png(wide, RGB, 16, interlaced), wide >> 8)
    with_alpha = np.dstack([rgb, alpha])
    add(f'rgba8{tag}.png', png(with_alpha, RGBA, 8, interlaced), blend(rgb, alpha[..., None]))
    deep = np.dstack([wide, alpha.astype(int) * 257])
    add(f'rgba16{tag}.png', png(deep, RGBA, 16, interlaced), blend(wide >> 8, alpha[..., None]))
    pair = np.dstack([gray, alpha])
    add(f'graya8{tag}.png', png(pair, GRAY_ALPHA, 8, interlaced),
        blend(to_rgb(gray[..., None]), alpha[..., None]))
key = gray[5, 5]
add('gray8_trns.png', png(gray[..., None], GRAY, 8, False, [(b'tRNS', struct.pack('>H', key))]),
    np.where((gray == key)[..., None], 255, to_rgb(gray[..., None])))
key = rgb[5, 5]
add('rgb8_trns.png', png(rgb, RGB, 8, False, [(b'tRNS', struct.pack('>HHH', *key))]),
    np.where((rgb == key).all(-1, keepdims=True), 255, rgb))


# ---- orientation ----
def exif(orientation, order):
    mark = b'II*\0' if order == '<' else b'MM\0*'
    return mark + struct.pack(order + 'IHHHIHHHHIII', 8, 2, 0x0112, 3, 1, orientation, 0,
                              0x011A, 4, 1, 72, 0)


for orientation in range(1, 9):
    block = exif(orientation, '<>'[orientation % 2])
    data = encode(picture, 'JPEG', quality=90, exif=b'Exif\0\0' + block)
    add_pillow(f'orientation{orientation}.jpg', data)
add_pillow('orientation6.webp', encode(picture, 'WEBP', lossless=True, exif=exif(6, '<')))
for name, place in (('before', 'before'), ('after', 'after')):
    data = png(rgb, RGB, 8, **{place: [(b'eXIf', exif(8, '>'))]})
    add(f'orientation8_{name}.png', data, np.rot90(rgb, 1))

# ---- JPEG ----
large = picture.resize((67, 45), Image.Resampling.BICUBIC)
for name, options in {'baseline420': {'quality': 80}, 'baseline444': {'subsampling': 0},
                      'progressive': {'progressive': True}}.items():
    add_pillow(f'{name}.jpg', encode(large, 'JPEG', **options))
add_pillow('gray.jpg', encode(large.convert('L'), 'JPEG'))
cmyk = encode(large.convert('CMYK'), 'JPEG', quality=90)
add_pillow('cmyk.jpg', cmyk)
adobe = cmyk.index(b'Adobe')
add_pillow('ycck.jpg', cmyk[:adobe + 11] + b'\2' + cmyk[adobe + 12:])  # the transform flag

# ---- WebP ----
add_pillow('lossy.webp', encode(large, 'WEBP', quality=80))
add_pillow('lossless.webp', encode(picture, 'WEBP', lossless=True))
add_pillow('lossy_alpha.webp', encode(picture_alpha, 'WEBP', quality=80))
add_pillow('lossless_alpha.webp', encode(picture_alpha, 'WEBP', lossless=True, exact=True))
frames = [picture_alpha, picture_alpha.transpose(Image.Transpose.ROTATE_180)]
add_pillow('animated.webp', encode(frames[0], 'WEBP', save_all=True, append_images=frames[1:],
                                   lossless=True, duration=100))

# ---- what stb_image reads ----
indexed = picture.quantize(16)
add_pillow('plain.gif', encode(indexed, 'GIF'))
add_pillow('transparent.gif', encode(indexed, 'GIF', transparency=3))
other = indexed.transpose(Image.Transpose.ROTATE_180)
add_pillow('animated.gif', encode(indexed, 'GIF', save_all=True, append_images=[other]))
add_pillow('rgb24.bmp', encode(picture, 'BMP'))
add_pillow('palette8.bmp', encode(indexed, 'BMP'))
add_pillow('rgb24.tga', encode(picture, 'TGA'))
add_pillow('rgba32_rle.tga', encode(picture_alpha, 'TGA', compression='tga_rle'))
add_pillow('gray8.tga', encode(picture.convert('L'), 'TGA'))
add_pillow('rgb.ppm', encode(picture, 'PPM'))
add_pillow('gray.pgm', encode(picture.convert('L'), 'PPM'))
psd = b'8BPS' + struct.pack('>H6xHIIHHIIIH', 1, 3, HEIGHT, WIDTH, 8, 3, 0, 0, 0, 0)
add('rgb.psd', psd + rgb.transpose(2, 0, 1).tobytes(), rgb)
rgbe = np.dstack([rgb, 120 + ys % 10]).astype(np.uint8)
light = rgbe[..., :3] * 2.0 ** (rgbe[..., 3:].astype(float) - 136)
hdr = b'#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y %d +X %d\n' % (HEIGHT, WIDTH)
header = b''.join(bytes([2, 2, 0, WIDTH]) + b''.join(bytes([WIDTH]) + rgbe[y, :, c].tobytes()
                                                     for c in range(4)) for y in range(HEIGHT))
add('light.hdr', hdr + header, np.clip(light ** (1 / 2.2) * 255 + 0.5, 0, 255).astype(np.uint8))

# ---- refused ----
huge = struct.pack('>IIBBBBB', 100000, 100000, 8, 2, 0, 0, 0)
(out / 'huge.png').write_bytes(b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', huge) +
                               chunk(b'IDAT', zlib.compress(b'')) + chunk(b'IEND', b''))
(out / 'index.json').write_text(json.dumps({'cases': cases}, indent=1) + '\n')
print(f'{len(cases)} pictures, {sum(f.stat().st_size for f in out.iterdir())} bytes')
