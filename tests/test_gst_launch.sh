#!/bin/sh
# SPDX-License-Identifier: MIT
#
# test_gst_launch.sh PLUGIN-FOLDER REGISTRY ROOT: the GStreamer element as people use it, in gst-launch-1.0 and
# gst-inspect-1.0. Any critical or warning of GLib's ends these, and GStreamer's own log must have no error.
set -eu

export GST_PLUGIN_PATH="$1" GST_REGISTRY="$2"
root=$3
export G_DEBUG=fatal-warnings GST_DEBUG='*:1'
unset VITRINE_MODEL
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export GST_DEBUG_FILE="$work/debug"
rocket=$root/images/photos/rocket.jpg

fail() {
    echo "$1"
    cat "$work/out" "$work/debug"
    exit 1
}

# launch RESULTS ELEMENT...: the pipeline ends well and posts so many results.
launch() {
    expected=$1
    shift
    gst-launch-1.0 -m "$@" >"$work/out" 2>&1 || fail "failed: $*"
    found=$(grep -c '(element): vitrine, timestamp' "$work/out") || true
    [ "$found" = "$expected" ] || fail "$found results, not $expected: $*"
    grep -q 'Got EOS' "$work/out" || fail "no EOS: $*"
    [ ! -s "$work/debug" ] || fail "errors in the log: $*"
}

# refuse TEXT ELEMENT...: it does not, and says so.
refuse() {
    text=$1
    shift
    ! gst-launch-1.0 "$@" >"$work/out" 2>&1 || fail "did not fail: $*"
    grep -qF "$text" "$work/out" || fail "does not say \"$text\": $*"
}

launch 300 videotestsrc num-buffers=300 ! vitrine ! fakesink
launch 1 filesrc location="$rocket" ! jpegdec ! vitrine ! fakesink
launch 300 multifilesrc location="$rocket" loop=true num-buffers=300 caps=image/jpeg,framerate=30/1 ! \
    jpegdec ! vitrine ! fakesink
for format in RGB BGR RGBA RGBx BGRA BGRx GRAY8 NV12 I420 YV12 YUY2 UYVY; do
    launch 3 videotestsrc num-buffers=3 ! video/x-raw,format=$format,width=75,height=51 ! vitrine ! fakesink
done
launch 10 videotestsrc num-buffers=30 ! vitrine interval=3 ! fakesink
launch 0 videotestsrc num-buffers=3 ! vitrine post-messages=false ! fakesink
launch 5 videotestsrc num-buffers=5 ! vitrine overlay=true 'textoverlay::font-desc=Sans 20' ! \
    videoconvert ! fakesink
launch 5 videotestsrc num-buffers=5 is-live=true ! queue leaky=downstream max-size-buffers=1 ! \
    vitrine qos=false ! queue ! fakesink sync=true

refuse '/no/such/model: no such file or directory' videotestsrc ! vitrine model=/no/such/model ! fakesink
refuse 'not pixels such as 224' videotestsrc ! vitrine size=big ! fakesink

# What gst-launch prints of a result, its own values apart.
launch 1 filesrc location="$rocket" ! jpegdec ! vitrine name=camera top-k=1 ! fakesink
grep -Eq 'from element "camera" \(element\): vitrine, timestamp=\(guint64\)0, stream-time=\(guint64\)0, running-time=\(guint64\)0, duration=\(guint64\)[0-9]+, preprocess-time=\(guint64\)[0-9]+, forward-time=\(guint64\)[0-9]+, predictions=\(structure\)< "prediction.*index.*label.*score.*" >;$' \
    "$work/out" || fail 'another message than documented'

# Every property has a line in the documentation.
gst-inspect-1.0 vitrine >"$work/out" 2>&1 || fail 'gst-inspect-1.0'
for property in $(sed -n '/^Element Properties/,/^Children/s/^  \([a-z-]*\)  *: .*/\1/p' "$work/out"); do
    case $property in
    async-handling | message-forward | name | parent) ;; # every bin's
    *) grep -qF "| \`$property\` |" "$root/docs/GSTREAMER.md" || fail "undocumented: $property" ;;
    esac
done
[ ! -s "$work/debug" ] || fail 'errors in the log of gst-inspect-1.0'
