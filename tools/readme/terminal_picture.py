#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs a command on a terminal of its own and draws what it shows, as PNG on standard output.

    cd images/emoji
    export SHOWN='vitrine classify -k 3 deer* lion* rainbow* red-apple* tractor*'
    ../../tools/readme/terminal_picture.py ../../build/vitrine classify -k 3 \\
        deer* lion* rainbow* red-apple* tractor* >../../docs/demo.png

$SHOWN is the command as the picture has it, where it is not the one that runs. A line that begins with the name of a picture gets that picture beside it. Needs rsvg-convert and
ImageMagick's convert; the rest is Python's standard library.
"""
import base64
import os
import pty
import re
import subprocess
import sys
from xml.sax.saxutils import escape

COLUMNS, SIZE, LINE, ADVANCE, MARGIN = 64, 15, 20, 9.03, 24
PAPER, INK, DIM, BAR = "#16181d", "#d6d9e0", "#7f8794", "#6aa6f8"


def run(arguments):
    """The command's output, as a terminal receives it."""
    child, screen = pty.fork()
    if child == 0:
        os.environ.update(TERM="xterm", LC_ALL="C.UTF-8", COLUMNS=str(COLUMNS))
        os.execvp(arguments[0], arguments)
    text = b""
    while True:
        try:
            part = os.read(screen, 65536)
        except OSError:
            break
        if not part:
            break
        text += part
    if os.waitpid(child, 0)[1] != 0:
        sys.exit("the command failed:\n" + text.decode())
    return text.decode().replace("\r\n", "\n").rstrip("\n").split("\n")


def thumbnail(path, x, y, side):
    """The picture as an SVG image."""
    png = subprocess.run(["convert", path + "[0]", "-resize", f"{2 * side}x{2 * side}", "png:-"],
                         check=True, capture_output=True).stdout
    data = base64.b64encode(png).decode()
    return (f'<image x="{x}" y="{y}" width="{side}" height="{side}" '
            f'href="data:image/png;base64,{data}"/>')


def spans(line):
    """(text, style) pieces of a line: bold as the command asks for, bars in their colour."""
    bold = False
    for part in re.split(r"(\033\[[0-9;]*m|[█▏▎▍▌▋▊▉]+)", line):
        if part.startswith("\033"):
            bold = part == "\033[1m"
        elif part:
            is_bar = part[0] in "█▏▎▍▌▋▊▉"
            yield part, f'fill="{BAR}"' if is_bar else 'font-weight="bold"' if bold else ""


def draw(command, lines):
    out, y = [], MARGIN + SIZE
    lines = [f"$ {command}", ""] + lines
    height = len(lines) * LINE + 2 * MARGIN
    width = int(COLUMNS * ADVANCE + 2 * MARGIN)
    for number, line in enumerate(lines):
        x = MARGIN
        name = re.sub(r"\033\[[0-9;]*m", "", line).split("  ")[0]
        if number and os.path.isfile(name):
            out.append(thumbnail(name, width - MARGIN - 4 * LINE, y - SIZE, 4 * LINE - 4))
        for text, style in spans(line):
            style = style or f'fill="{DIM if number == 0 else INK}"'
            style += f' fill="{INK}"' if "fill" not in style else ""
            out.append(f'<text x="{x:.2f}" y="{y}" xml:space="preserve" {style}>{escape(text)}</text>')
            x += len(text) * ADVANCE
        y += LINE
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'font-family="DejaVu Sans Mono" font-size="{SIZE}">'
            f'<rect width="100%" height="100%" rx="10" fill="{PAPER}"/>' + "".join(out) + "</svg>")


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    shown = " ".join([os.path.basename(sys.argv[1])] + sys.argv[2:])
    svg = draw(os.environ.get("SHOWN", shown), run(sys.argv[1:]))
    png = subprocess.run(["rsvg-convert", "-z", "1.5"], input=svg.encode(), check=True,
                         capture_output=True).stdout
    sys.stdout.buffer.write(png)


if __name__ == "__main__":
    main()
