/* SPDX-License-Identifier: MIT */
#include "settings.h"

#include "bundled.h"

/* ---- values ------------------------------------------------------------------------------- */

void gst_vitrine_settings_init(GstVitrineSettings *settings) {
    *settings = (GstVitrineSettings){
        .top_k = 5,
        .interval = 1,
        .post_messages = TRUE,
        .qos = TRUE,
    };
}

void gst_vitrine_settings_clear(GstVitrineSettings *settings) {
    g_free(settings->model);
    g_free(settings->labels);
    g_free(settings->size);
    *settings = (GstVitrineSettings){0};
}

void gst_vitrine_settings_copy(GstVitrineSettings *out, const GstVitrineSettings *settings) {
    gst_vitrine_settings_clear(out);
    *out = *settings;
    out->model = g_strdup(settings->model);
    out->labels = g_strdup(settings->labels);
    out->size = g_strdup(settings->size);
}

gboolean gst_vitrine_settings_same_model(const GstVitrineSettings *a, const GstVitrineSettings *b) {
    return g_strcmp0(a->model, b->model) == 0 && g_strcmp0(a->labels, b->labels) == 0 &&
           a->precision == b->precision;
}

const gchar *gst_vitrine_settings_model(const GstVitrineSettings *settings) {
    const gchar *named = g_getenv("VITRINE_MODEL");
    if (settings->model)
        return settings->model;
    return named && *named ? named : gst_vitrine_bundled_model();
}

const gchar *gst_vitrine_settings_precision(const GstVitrineSettings *settings) {
    static const gchar *const names[] = {NULL, "f32", "f16", "bf16", "int8"};
    return names[settings->precision];
}

/* Whole numbers of 1 or more, which end at `end`. */
static gboolean parse_length(const gchar *text, const gchar **end, size_t *out) {
    gchar *stop = NULL;
    if (!g_ascii_isdigit(*text)) /* no sign, no space */
        return FALSE;
    const guint64 value = g_ascii_strtoull(text, &stop, 10);
    *end = stop;
    *out = value;
    return value >= 1 && value <= G_MAXINT;
}

gboolean gst_vitrine_settings_size(const GstVitrineSettings *settings, size_t *height,
                                   size_t *width) {
    const gchar *at = settings->size;
    *height = *width = 0;
    if (!at)
        return TRUE;
    if (!parse_length(at, &at, height))
        return FALSE;
    *width = *height;
    return *at == '\0' || (*at == 'x' && parse_length(at + 1, &at, width) && *at == '\0');
}

/* ---- properties --------------------------------------------------------------------------- */

static GType precision_type(void) {
    static const GEnumValue values[] = {
        {GST_VITRINE_PRECISION_AUTO, "As the checkpoint has them", "auto"},
        {GST_VITRINE_PRECISION_F32, "32-bit floating point", "f32"},
        {GST_VITRINE_PRECISION_F16, "16-bit floating point", "f16"},
        {GST_VITRINE_PRECISION_BF16, "bfloat16", "bf16"},
        {GST_VITRINE_PRECISION_INT8, "8-bit integers in the blocks", "int8"},
        {0, NULL, NULL},
    };
    static gsize type = 0;
    if (g_once_init_enter(&type))
        g_once_init_leave(&type, g_enum_register_static("GstVitrinePrecision", values));
    return type;
}

/* What a change of it means while the element is PAUSED or PLAYING: */
#define FLAGS (G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS)
#define NEXT_START (FLAGS | GST_PARAM_MUTABLE_READY) /* nothing before it was READY again */
#define NEXT_FRAME (FLAGS | GST_PARAM_MUTABLE_PLAYING)

void gst_vitrine_settings_install(GObjectClass *klass) {
    const GType precision = precision_type();
    gst_type_mark_as_plugin_api(precision, 0);
    GParamSpec *specs[GST_VITRINE_NUM_SETTINGS] = {
        [GST_VITRINE_SETTING_MODEL] = g_param_spec_string(
            "model", "Model",
            "Directory with config.json and model.safetensors, or a .safetensors file beside its "
            "config.json (NULL = $VITRINE_MODEL, or the bundled model)",
            NULL, NEXT_START),
        [GST_VITRINE_SETTING_LABELS] = g_param_spec_string(
            "labels", "Labels",
            "Text file with the names of the classes, one a line (NULL = the model's own)", NULL,
            NEXT_START),
        [GST_VITRINE_SETTING_TOP_K] = g_param_spec_uint(
            "top-k", "Top k", "Classes that a result has, best first", 1, G_MAXINT, 5, NEXT_FRAME),
        [GST_VITRINE_SETTING_SIZE] = g_param_spec_string(
            "size", "Size",
            "Input size of the model in pixels, N or HEIGHTxWIDTH, rounded to whole patches "
            "(NULL = the model's own)",
            NULL, NEXT_START),
        [GST_VITRINE_SETTING_THREADS] =
            g_param_spec_uint("threads", "Threads",
                              "Threads to compute with (0 = one for each core that may be used)", 0,
                              G_MAXINT, 0, NEXT_START),
        [GST_VITRINE_SETTING_PRECISION] =
            g_param_spec_enum("precision", "Precision", "What the model's matrices are kept as",
                              precision, GST_VITRINE_PRECISION_AUTO, NEXT_START),
        [GST_VITRINE_SETTING_INTERVAL] = g_param_spec_uint(
            "interval", "Interval", "Analyse every Nth frame; the frames between have no result", 1,
            G_MAXINT, 1, NEXT_FRAME),
        [GST_VITRINE_SETTING_OVERLAY] = g_param_spec_boolean(
            "overlay", "Overlay", "Draw the last result into the picture, with textoverlay", FALSE,
            NEXT_START),
        [GST_VITRINE_SETTING_POST_MESSAGES] =
            g_param_spec_boolean("post-messages", "Post messages",
                                 "Post an element message for each result", TRUE, NEXT_FRAME),
        [GST_VITRINE_SETTING_QOS] = g_param_spec_boolean(
            "qos", "Quality of service",
            "Let frames that the sink would get too late pass without analysis", TRUE, NEXT_FRAME),
    };
    for (guint id = 1; id < GST_VITRINE_NUM_SETTINGS; id++)
        g_object_class_install_property(klass, id, specs[id]);
}

static void take_string(gchar **field, const GValue *value) {
    g_free(*field);
    *field = g_value_dup_string(value);
}

void gst_vitrine_settings_set(GstVitrineSettings *settings, guint id, const GValue *value) {
    switch (id) {
    case GST_VITRINE_SETTING_MODEL:
        take_string(&settings->model, value);
        break;
    case GST_VITRINE_SETTING_LABELS:
        take_string(&settings->labels, value);
        break;
    case GST_VITRINE_SETTING_TOP_K:
        settings->top_k = g_value_get_uint(value);
        break;
    case GST_VITRINE_SETTING_SIZE:
        take_string(&settings->size, value);
        break;
    case GST_VITRINE_SETTING_THREADS:
        settings->threads = g_value_get_uint(value);
        break;
    case GST_VITRINE_SETTING_PRECISION:
        settings->precision = (GstVitrinePrecision)g_value_get_enum(value);
        break;
    case GST_VITRINE_SETTING_INTERVAL:
        settings->interval = g_value_get_uint(value);
        break;
    case GST_VITRINE_SETTING_OVERLAY:
        settings->overlay = g_value_get_boolean(value);
        break;
    case GST_VITRINE_SETTING_POST_MESSAGES:
        settings->post_messages = g_value_get_boolean(value);
        break;
    case GST_VITRINE_SETTING_QOS:
        settings->qos = g_value_get_boolean(value);
        break;
    default:
        g_assert_not_reached();
    }
}

void gst_vitrine_settings_get(const GstVitrineSettings *settings, guint id, GValue *value) {
    switch (id) {
    case GST_VITRINE_SETTING_MODEL:
        g_value_set_string(value, settings->model);
        break;
    case GST_VITRINE_SETTING_LABELS:
        g_value_set_string(value, settings->labels);
        break;
    case GST_VITRINE_SETTING_TOP_K:
        g_value_set_uint(value, settings->top_k);
        break;
    case GST_VITRINE_SETTING_SIZE:
        g_value_set_string(value, settings->size);
        break;
    case GST_VITRINE_SETTING_THREADS:
        g_value_set_uint(value, settings->threads);
        break;
    case GST_VITRINE_SETTING_PRECISION:
        g_value_set_enum(value, settings->precision);
        break;
    case GST_VITRINE_SETTING_INTERVAL:
        g_value_set_uint(value, settings->interval);
        break;
    case GST_VITRINE_SETTING_OVERLAY:
        g_value_set_boolean(value, settings->overlay);
        break;
    case GST_VITRINE_SETTING_POST_MESSAGES:
        g_value_set_boolean(value, settings->post_messages);
        break;
    case GST_VITRINE_SETTING_QOS:
        g_value_set_boolean(value, settings->qos);
        break;
    default:
        g_assert_not_reached();
    }
}
