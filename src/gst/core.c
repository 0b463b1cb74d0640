/* SPDX-License-Identifier: MIT
 *
 * A GstBaseTransform in passthrough: caps, allocation and pixels are those of its neighbours. It
 * makes a buffer's metadata writable, never its memory, to attach a result.
 */
#include "core.h"

#include "debug.h"
#include "engine.h"
#include "latency.h"

typedef struct Counts {
    guint64 frames, analysed, skipped, late;
    GstClockTime analysis_time; /* of the analysed together */
} Counts;

struct _GstVitrineCore {
    GstBaseTransform parent_instance;
    GstVitrineEngine engine;
    GstVitrineResultFunc on_result;
    gpointer user;

    /* Under the object lock: */
    GstVitrineSettings settings;
    Counts counts;
    GstVitrineLatency latency;
    GstClockTime earliest; /* running time, up to which frames are late */
    gdouble proportion;    /* what the sink says that speed would have to be */

    /* Of state changes: */
    GstVitrineSettings opened; /* what the model was opened as */
    gchar *name;               /* what results are signed with: the name of the element around */

    /* Of the streaming thread: */
    GstVideoInfo info;
    guint since; /* frames since one was analysed, that included which comes now */
};

G_DEFINE_TYPE(GstVitrineCore, gst_vitrine_core, GST_TYPE_BASE_TRANSFORM)

static GstStaticPadTemplate sink_template = GST_STATIC_PAD_TEMPLATE(
    "sink", GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS(GST_VITRINE_CAPS));
static GstStaticPadTemplate src_template =
    GST_STATIC_PAD_TEMPLATE("src", GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS(GST_VITRINE_CAPS));

/* ---- what the element around asks for ----------------------------------------------------- */

void gst_vitrine_core_on_result(GstVitrineCore *core, GstVitrineResultFunc fn, gpointer user) {
    core->on_result = fn;
    core->user = user;
}

void gst_vitrine_core_configure(GstVitrineCore *core, const GstVitrineSettings *settings) {
    GST_OBJECT_LOCK(core);
    gst_vitrine_settings_copy(&core->settings, settings);
    GST_OBJECT_UNLOCK(core);
}

void gst_vitrine_core_interrupt(GstVitrineCore *core) {
    gst_vitrine_engine_interrupt(&core->engine);
}

GstStructure *gst_vitrine_core_stats(GstVitrineCore *core) {
    GST_OBJECT_LOCK(core);
    const Counts counts = core->counts;
    const GstClockTime latency = core->latency.told;
    GST_OBJECT_UNLOCK(core);
    return gst_structure_new("vitrine-stats", "frames", G_TYPE_UINT64, counts.frames, "analysed",
                             G_TYPE_UINT64, counts.analysed, "skipped", G_TYPE_UINT64,
                             counts.skipped, "late", G_TYPE_UINT64, counts.late, "analysis-time",
                             G_TYPE_UINT64, counts.analysis_time, "latency", G_TYPE_UINT64, latency,
                             NULL);
}

/* ---- model and session -------------------------------------------------------------------- */

static gint error_code(vt_status status) {
    switch (status) {
    case VT_ERR_MISSING:
        return GST_RESOURCE_ERROR_NOT_FOUND;
    case VT_ERR_ARGUMENT:
    case VT_ERR_UNSUPPORTED:
    case VT_ERR_LIMIT:
        return GST_RESOURCE_ERROR_SETTINGS;
    case VT_ERR_MEMORY:
        return GST_RESOURCE_ERROR_NO_SPACE_LEFT;
    default:
        return GST_RESOURCE_ERROR_OPEN_READ;
    }
}

static void post_model_error(GstVitrineCore *self, const GstVitrineSettings *settings,
                             const vt_error *err) {
    const gchar *path = gst_vitrine_settings_model(settings);
    const gboolean unset =
        err->code == VT_ERR_MISSING && !settings->model && !g_file_test(path, G_FILE_TEST_EXISTS);
    gchar *text = g_strdup_printf("%s%s", err->message,
                                  unset ? "; set the property model, or $VITRINE_MODEL" : "");
    gst_element_message_full(GST_ELEMENT(self), GST_MESSAGE_ERROR, GST_RESOURCE_ERROR,
                             error_code(err->code), text, g_strdup_printf("the model is %s", path),
                             __FILE__, GST_FUNCTION, __LINE__);
}

static void copy_settings(GstVitrineCore *self, GstVitrineSettings *out) {
    GST_OBJECT_LOCK(self);
    gst_vitrine_settings_copy(out, &self->settings);
    GST_OBJECT_UNLOCK(self);
}

/* Opens the model, unless it is open as it should be. */
static gboolean open_model(GstVitrineCore *self, const GstVitrineSettings *settings) {
    vt_error err = {0};
    if (self->engine.model && gst_vitrine_settings_same_model(&self->opened, settings))
        return TRUE;
    gst_vitrine_engine_close(&self->engine);
    if (gst_vitrine_engine_open(&self->engine, settings, GST_OBJECT(self), &err)) {
        post_model_error(self, settings, &err);
        return FALSE;
    }
    gst_vitrine_settings_copy(&self->opened, settings);
    return TRUE;
}

static GstStateChangeReturn change_state(GstElement *element, GstStateChange transition) {
    GstVitrineCore *self = GST_VITRINE_CORE(element);
    GstVitrineSettings settings = {0};
    gboolean opened = TRUE;
    if (transition == GST_STATE_CHANGE_NULL_TO_READY) {
        copy_settings(self, &settings);
        opened = open_model(self, &settings);
        gst_vitrine_settings_clear(&settings);
    }
    if (!opened)
        return GST_STATE_CHANGE_FAILURE;
    const GstStateChangeReturn done =
        GST_ELEMENT_CLASS(gst_vitrine_core_parent_class)->change_state(element, transition);
    if (transition == GST_STATE_CHANGE_READY_TO_NULL)
        gst_vitrine_engine_close(&self->engine);
    return done;
}

static gchar *name_around(GstVitrineCore *self) {
    GstObject *parent = gst_object_get_parent(GST_OBJECT(self));
    gchar *name = gst_object_get_name(parent ? parent : GST_OBJECT(self));
    g_clear_object(&parent);
    return name;
}

static void forget_stream(GstVitrineCore *self) {
    self->since = G_MAXINT;
    GST_OBJECT_LOCK(self);
    self->earliest = GST_CLOCK_TIME_NONE;
    self->proportion = 1;
    GST_OBJECT_UNLOCK(self);
}

static gboolean open_session(GstVitrineCore *self, const GstVitrineSettings *settings) {
    vt_error err = {0};
    size_t height, width;
    GstClockTime first = 0;
    if (gst_vitrine_engine_start(&self->engine, settings, &first, &err)) {
        post_model_error(self, settings, &err);
        return FALSE;
    }
    vt_session_input_size(self->engine.session, &height, &width);
    GST_INFO_OBJECT(self, "input of %zux%zu, first pass in %" GST_TIME_FORMAT, height, width,
                    GST_TIME_ARGS(first));
    GST_OBJECT_LOCK(self);
    gst_vitrine_latency_init(&self->latency, first);
    self->counts = (Counts){0};
    GST_OBJECT_UNLOCK(self);
    return TRUE;
}

/* READY to PAUSED. */
static gboolean start(GstBaseTransform *trans) {
    GstVitrineCore *self = GST_VITRINE_CORE(trans);
    GstVitrineSettings settings = {0};
    copy_settings(self, &settings);
    const gboolean started = open_model(self, &settings) && open_session(self, &settings);
    gst_vitrine_settings_clear(&settings);
    g_free(self->name);
    self->name = name_around(self);
    forget_stream(self);
    return started;
}

static gboolean stop(GstBaseTransform *trans) {
    gst_vitrine_engine_stop(&GST_VITRINE_CORE(trans)->engine);
    return TRUE;
}

/* ---- which frames ------------------------------------------------------------------------- */

typedef enum Fate {
    FATE_ANALYSE,
    FATE_SKIP, /* `interval` */
    FATE_LATE
} Fate;

static Fate decide_fate(GstVitrineCore *self, GstBuffer *buffer, GstClockTime running_time) {
    Fate fate = FATE_ANALYSE;
    GST_OBJECT_LOCK(self);
    self->counts.frames++;
    if (self->since < self->settings.interval ||
        GST_BUFFER_FLAG_IS_SET(buffer, GST_BUFFER_FLAG_GAP))
        fate = FATE_SKIP;
    else if (self->settings.qos && GST_CLOCK_TIME_IS_VALID(self->earliest) &&
             GST_CLOCK_TIME_IS_VALID(running_time) && running_time <= self->earliest)
        fate = FATE_LATE;
    self->counts.skipped += fate == FATE_SKIP;
    self->counts.late += fate == FATE_LATE;
    GST_OBJECT_UNLOCK(self);
    self->since = fate == FATE_ANALYSE ? 1 : MIN(self->since, G_MAXINT - 1) + 1;
    return fate;
}

static void post_late(GstVitrineCore *self, GstBuffer *buffer, GstClockTime running_time) {
    const GstSegment *segment = &GST_BASE_TRANSFORM(self)->segment;
    GST_OBJECT_LOCK(self);
    const Counts counts = self->counts;
    const GstClockTimeDiff jitter = GST_CLOCK_DIFF(running_time, self->earliest);
    const gdouble proportion = self->proportion;
    GST_OBJECT_UNLOCK(self);
    GST_DEBUG_OBJECT(self, "not analysed, as it would come late: %" GST_PTR_FORMAT, buffer);
    GstMessage *message = gst_message_new_qos(
        GST_OBJECT(self), FALSE, running_time,
        gst_segment_to_stream_time(segment, GST_FORMAT_TIME, GST_BUFFER_PTS(buffer)),
        GST_BUFFER_PTS(buffer), GST_BUFFER_DURATION(buffer));
    gst_message_set_qos_values(message, jitter, proportion, 1000000);
    gst_message_set_qos_stats(message, GST_FORMAT_BUFFERS, counts.analysed, counts.late);
    gst_element_post_message(GST_ELEMENT(self), message);
}

/* ---- frames ------------------------------------------------------------------------------- */

static void count_analysis(GstVitrineCore *self, GstClockTime time) {
    GST_OBJECT_LOCK(self);
    self->counts.analysed++;
    self->counts.analysis_time += time;
    const gboolean changed = gst_vitrine_latency_update(&self->latency, time);
    const GstClockTime told = self->latency.told;
    GST_OBJECT_UNLOCK(self);
    if (!changed)
        return;
    GST_INFO_OBJECT(self, "latency is now %" GST_TIME_FORMAT, GST_TIME_ARGS(told));
    gst_element_post_message(GST_ELEMENT(self), gst_message_new_latency(GST_OBJECT(self)));
}

static vt_status run_frame(GstVitrineCore *self, const GstVideoFrame *mapped, vt_result *result,
                           vt_error *err) {
    vt_frame frame;
    GST_OBJECT_LOCK(self);
    const guint top_k = self->settings.top_k;
    GST_OBJECT_UNLOCK(self);
    gst_vitrine_frame_describe(&frame, mapped);
    return gst_vitrine_engine_run(&self->engine, result, &frame, top_k, err);
}

/* Replaces *buffer by one that carries the result. */
static void attach(GstVitrineCore *self, GstBuffer **buffer, const vt_result *result) {
    *buffer = gst_buffer_make_writable(*buffer);
    const GstVitrineMeta *meta =
        gst_vitrine_meta_add(*buffer, self->name, self->engine.model, result);
    if (self->on_result)
        self->on_result(self->user, meta, *buffer, &GST_BASE_TRANSFORM(self)->segment);
}

static GstFlowReturn analyse(GstVitrineCore *self, GstBuffer **buffer) {
    vt_error err = {0};
    vt_result result;
    GstVideoFrame mapped;
    const gint64 start = g_get_monotonic_time();
    if (!gst_video_frame_map(&mapped, &self->info, *buffer, GST_MAP_READ)) {
        GST_ELEMENT_WARNING(self, STREAM, FORMAT, ("A frame could not be read; it passes as it is"),
                            ("%" GST_PTR_FORMAT, *buffer));
        return GST_FLOW_OK;
    }
    const vt_status status = run_frame(self, &mapped, &result, &err);
    gst_video_frame_unmap(&mapped);
    if (status == VT_ERR_CANCELLED)
        return GST_FLOW_FLUSHING;
    if (status) {
        GST_ELEMENT_ERROR(self, STREAM, FAILED, ("%s", err.message), (NULL));
        return GST_FLOW_ERROR;
    }
    count_analysis(self, (GstClockTime)(g_get_monotonic_time() - start) * GST_USECOND);
    attach(self, buffer, &result);
    return GST_FLOW_OK;
}

static GstFlowReturn generate_output(GstBaseTransform *trans, GstBuffer **out) {
    GstVitrineCore *self = GST_VITRINE_CORE(trans);
    GstBuffer *buffer = g_steal_pointer(&trans->queued_buf);
    GstFlowReturn flow = GST_FLOW_OK;
    if (!buffer)
        return flow;
    const GstClockTime running_time =
        gst_segment_to_running_time(&trans->segment, GST_FORMAT_TIME, GST_BUFFER_PTS(buffer));
    switch (decide_fate(self, buffer, running_time)) {
    case FATE_ANALYSE:
        flow = analyse(self, &buffer);
        break;
    case FATE_LATE:
        post_late(self, buffer, running_time);
        break;
    case FATE_SKIP:
        break;
    }
    if (flow != GST_FLOW_OK)
        gst_clear_buffer(&buffer);
    *out = buffer;
    return flow;
}

static gboolean set_caps(GstBaseTransform *trans, GstCaps *in, GstCaps *out) {
    GstVitrineCore *self = GST_VITRINE_CORE(trans);
    (void)out;
    if (!gst_video_info_from_caps(&self->info, in))
        return FALSE;
    self->since = G_MAXINT; /* another picture */
    GST_DEBUG_OBJECT(self, "frames are %" GST_PTR_FORMAT, in);
    return TRUE;
}

/* ---- events and queries ------------------------------------------------------------------- */

static gboolean sink_event(GstBaseTransform *trans, GstEvent *event) {
    GstVitrineCore *self = GST_VITRINE_CORE(trans);
    switch (GST_EVENT_TYPE(event)) {
    case GST_EVENT_FLUSH_START:
        gst_vitrine_engine_interrupt(&self->engine);
        break;
    case GST_EVENT_FLUSH_STOP:
        gst_vitrine_engine_resume(&self->engine);
        forget_stream(self);
        break;
    default:
        break;
    }
    return GST_BASE_TRANSFORM_CLASS(gst_vitrine_core_parent_class)->sink_event(trans, event);
}

/* What came `diff` too late says that as much again is lost until it is made good. */
static void take_qos(GstVitrineCore *self, GstEvent *event) {
    GstQOSType type;
    gdouble proportion;
    GstClockTimeDiff diff;
    GstClockTime timestamp;
    gst_event_parse_qos(event, &type, &proportion, &diff, &timestamp);
    if (!GST_CLOCK_TIME_IS_VALID(timestamp))
        return;
    if (diff > 0 && type != GST_QOS_TYPE_THROTTLE)
        diff *= 2;
    GST_OBJECT_LOCK(self);
    self->proportion = proportion;
    self->earliest = timestamp + (GstClockTime)diff; /* a QoS event is never before 0 */
    GST_OBJECT_UNLOCK(self);
}

static gboolean src_event(GstBaseTransform *trans, GstEvent *event) {
    if (GST_EVENT_TYPE(event) == GST_EVENT_QOS)
        take_qos(GST_VITRINE_CORE(trans), event);
    return GST_BASE_TRANSFORM_CLASS(gst_vitrine_core_parent_class)->src_event(trans, event);
}

/* A frame is held while it is analysed: later by that, and that much less for others to hold. */
static gboolean query_latency(GstVitrineCore *self, GstQuery *query) {
    gboolean live;
    GstClockTime least, most;
    if (!gst_pad_peer_query(GST_BASE_TRANSFORM_SINK_PAD(self), query))
        return FALSE;
    gst_query_parse_latency(query, &live, &least, &most);
    GST_OBJECT_LOCK(self);
    const GstClockTime own = self->latency.told;
    GST_OBJECT_UNLOCK(self);
    gst_query_set_latency(query, live, least + own,
                          GST_CLOCK_TIME_IS_VALID(most) ? most + own : most);
    return TRUE;
}

static gboolean query(GstBaseTransform *trans, GstPadDirection direction, GstQuery *asked) {
    if (direction == GST_PAD_SRC && GST_QUERY_TYPE(asked) == GST_QUERY_LATENCY)
        return query_latency(GST_VITRINE_CORE(trans), asked);
    return GST_BASE_TRANSFORM_CLASS(gst_vitrine_core_parent_class)->query(trans, direction, asked);
}

/* ---- the class ---------------------------------------------------------------------------- */

static void finalize(GObject *object) {
    GstVitrineCore *self = GST_VITRINE_CORE(object);
    gst_vitrine_engine_clear(&self->engine);
    gst_vitrine_settings_clear(&self->settings);
    gst_vitrine_settings_clear(&self->opened);
    g_free(self->name);
    G_OBJECT_CLASS(gst_vitrine_core_parent_class)->finalize(object);
}

static void gst_vitrine_core_class_init(GstVitrineCoreClass *klass) {
    GstElementClass *element = GST_ELEMENT_CLASS(klass);
    GstBaseTransformClass *transform = GST_BASE_TRANSFORM_CLASS(klass);
    G_OBJECT_CLASS(klass)->finalize = finalize;
    element->change_state = change_state;
    gst_element_class_add_static_pad_template(element, &sink_template);
    gst_element_class_add_static_pad_template(element, &src_template);
    gst_element_class_set_static_metadata(element, "Vitrine's analysis", "Filter/Analyzer/Video",
                                          "Inside the element vitrine", "The vitrine authors");
    transform->start = start;
    transform->stop = stop;
    transform->set_caps = set_caps;
    transform->generate_output = generate_output;
    transform->sink_event = sink_event;
    transform->src_event = src_event;
    transform->query = query;
}

static void gst_vitrine_core_init(GstVitrineCore *self) {
    gst_vitrine_engine_init(&self->engine);
    gst_vitrine_settings_init(&self->settings);
    gst_video_info_init(&self->info);
    forget_stream(self);
}
