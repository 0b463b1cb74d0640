#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Sort the emoji drawings into folders for `vitrine fit`, and others to score it on.

    pictures.py --svg svg --classes classes.json --out pictures

Each SVG (CLASS_STYLE.svg) is drawn once by librsvg's `rsvg-convert`, 256 px, as OUT/png/CLASS_STYLE.png;
the folders hold links to these:

    OUT/fit/things-3    650 classes, a thing each, in THREE styles
    OUT/fit/things-6    the same in all SIX that the bundled model was trained on
    OUT/fit/groups-3    16 classes of several things each, GROUPS below
    OUT/fit/groups-6
    OUT/fit/halves-6    of each group every second thing
    OUT/score/things/STYLE, OUT/score/groups/STYLE
                        the same classes in a style that is in none of those folders
    OUT/score/halves/STYLE
                        things that are not in halves-6, in such a style

Needs nothing but Python and rsvg-convert. The drawings: tools/emoji/README.md.
"""
import argparse
import json
import pathlib
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor

THREE = ("noto", "twemoji", "fluent-emoji-flat")
SIX = THREE + ("noto-v1", "fluent-emoji", "emojione")
NEVER_SEEN = ("emojione-v1", "openmoji")

GROUPS = {
    "birds": "baby-chick bird chicken dove duck eagle hatching-chick owl penguin rooster turkey",
    "boats": "canoe ferry motor-boat passenger-ship sailboat ship speedboat",
    "books and papers": "blue-book books bookmark-tabs clipboard closed-book ledger memo newspaper notebook "
                        "open-book page-facing-up scroll",
    "buildings": "bank castle church classical-building convenience-store department-store factory hospital "
                 "hotel house japanese-castle mosque office-building post-office school",
    "cars": "ambulance articulated-lorry automobile bus delivery-truck fire-engine minibus oncoming-bus "
            "police-car racing-car sport-utility-vehicle taxi tractor trolleybus",
    "clocks": "alarm-clock mantelpiece-clock nine-oclock one-oclock six-thirty stopwatch three-oclock "
              "timer-clock twelve-thirty watch",
    "clothes": "bikini dress high-heeled-shoe jeans kimono mans-shoe necktie running-shirt running-shoe t-shirt "
               "top-hat womans-boot womans-clothes womans-hat womans-sandal",
    "drinks": "beer-mug bottle-with-popping-cork clinking-beer-mugs clinking-glasses cocktail-glass "
              "glass-of-milk hot-beverage sake teacup-without-handle tropical-drink tumbler-glass wine-glass",
    "flowers": "blossom bouquet cherry-blossom hibiscus rose sunflower tulip white-flower wilted-flower",
    "fruit": "avocado banana cherries grapes green-apple kiwi-fruit lemon melon peach pear pineapple red-apple "
             "strawberry tangerine tomato watermelon",
    "insects": "ant bug butterfly cricket honeybee lady-beetle scorpion spider",
    "mammals": "bear camel cat chipmunk cow deer dog elephant ewe fox goat gorilla hamster horse leopard monkey "
               "mouse ox pig poodle rabbit ram rat rhinoceros tiger wolf",
    "music": "drum guitar microphone musical-keyboard postal-horn radio saxophone studio-microphone trumpet "
             "violin",
    "sea animals": "blowfish crab dolphin fish octopus shark shrimp spouting-whale squid tropical-fish whale",
    "trains": "bullet-train high-speed-train light-rail locomotive metro monorail mountain-railway railway-car "
              "suspension-railway train tram tram-car",
    "vegetables": "carrot cucumber ear-of-corn eggplant green-salad hot-pepper mushroom potato "
                  "roasted-sweet-potato",
}


def draw(svg, png):
    """False where librsvg can't."""
    command = ["rsvg-convert", "-a", "-w", "256", "-h", "256", str(svg), "-o", str(png)]
    if not png.exists() and subprocess.run(command, stderr=subprocess.DEVNULL).returncode:
        png.unlink(missing_ok=True)
    return png.exists()


def link(png, folder):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / png.name).symlink_to(png.resolve())


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--svg", type=pathlib.Path, required=True, help="folder of CLASS_STYLE.svg")
    add("--classes", type=pathlib.Path, required=True, help="classes.json beside it")
    add("--out", type=pathlib.Path, required=True, help="folder to fill")
    add("--jobs", type=int, default=2)
    args = parser.parse_args()

    names = [entry["n"] for entry in json.loads(args.classes.read_text())]
    group_of = {name: group for group, things in GROUPS.items() for name in things.split()}
    fitted_half = {name for things in GROUPS.values() for name in things.split()[::2]}
    missing = set(group_of) - set(names)
    if missing:
        raise SystemExit(f"{args.classes}: no {', '.join(sorted(missing))}")

    (args.out / "png").mkdir(parents=True, exist_ok=True)
    svgs = sorted(args.svg.glob("*.svg"))
    pngs = [args.out / "png" / (svg.stem + ".png") for svg in svgs]
    with ThreadPoolExecutor(args.jobs) as pool:
        drawn = list(pool.map(draw, svgs, pngs))

    for tree in ("fit", "score"):
        shutil.rmtree(args.out / tree, ignore_errors=True)
    for png in (png for png, good in zip(pngs, drawn) if good):
        number, style = png.stem.split("_", 1)
        name = names[int(number)]
        group = group_of.get(name)
        if style in NEVER_SEEN:
            link(png, args.out / "score/things" / style / name)
            if group:
                link(png, args.out / "score/groups" / style / group)
            if group and name not in fitted_half:
                link(png, args.out / "score/halves" / style / group)
            continue
        for count in (3, 6) if style in THREE else (6,):
            link(png, args.out / f"fit/things-{count}" / name)
            if group:
                link(png, args.out / f"fit/groups-{count}" / group)
        if name in fitted_half:
            link(png, args.out / "fit/halves-6" / group)
    print(f"{sum(drawn)} of {len(svgs)} drawings: {args.out}/fit, {args.out}/score")


if __name__ == "__main__":
    main()
