/* SPDX-License-Identifier: MIT
 *
 * Reads frames on a thread of its own, as fast as they come, and hands out those that there is time
 * for. Memory is that of a few frames, made at the beginning and used over and over.
 */
#ifndef CLI_FRAME_FEED_H
#define CLI_FRAME_FEED_H

#include <stdint.h>

#include "frame_source.h"

typedef struct feed_frame {
    frame_buffer data;
    uint64_t number;    /* in the stream, from 0 */
    double arrived_ms;  /* when its last byte did, by clock_ms */
    int64_t arrived_us; /* and since 1970 */
    uint64_t dropped;   /* how many of the frames before it were left out */
} feed_frame;

typedef struct frame_feed frame_feed;

/* The source's first frame is yet to be read. `realtime`: frames are read when they are due, by the
 * source's rate. NULL, having complained, when there can be no thread. */
frame_feed *feed_start(frame_source *source, const drop_policy *drop, bool realtime);

/* Waits for the next frame that is not dropped; NULL after the last. It is the caller's until the
 * next call. */
const feed_frame *feed_next(frame_feed *f);

/* How it ended. Frames that waited in vain count as dropped. */
typedef struct feed_outcome {
    uint64_t num_read, num_dropped;
    vt_error error; /* VT_OK: the stream ended, or was stopped */
} feed_outcome;

/* Ends the reading, if it has not ended: what the source reads from must be told to stop before. */
feed_outcome feed_stop(frame_feed *f);

#endif
