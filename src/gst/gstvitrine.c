/* SPDX-License-Identifier: MIT */
#include "gstvitrine.h"

#include <gst/pbutils/pbutils.h>

#include "core.h"
#include "debug.h"
#include "settings.h"

enum { PROP_STATS = GST_VITRINE_NUM_SETTINGS };

struct _GstVitrine {
    GstBin parent_instance;
    GstVitrineSettings settings; /* under the object lock */
    GstVitrineCore *core;        /* the bin's, as is: */
    GstElement *text;            /* the textoverlay, NULL where none is wanted */
    GstPad *src;                 /* the ghost pad */
};

G_DEFINE_TYPE(GstVitrine, gst_vitrine, GST_TYPE_BIN)

static GstStaticPadTemplate sink_template = GST_STATIC_PAD_TEMPLATE(
    "sink", GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS(GST_VITRINE_CAPS));
static GstStaticPadTemplate src_template =
    GST_STATIC_PAD_TEMPLATE("src", GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS(GST_VITRINE_CAPS));

/* ---- the overlay -------------------------------------------------------------------------- */

static void end_with(GstVitrine *self, GstElement *last) {
    GstPad *pad = gst_element_get_static_pad(last, "src");
    gst_ghost_pad_set_target(GST_GHOST_PAD(self->src), pad);
    gst_object_unref(pad);
}

static gboolean add_overlay(GstVitrine *self) {
    GstElement *text = gst_element_factory_make("textoverlay", "textoverlay");
    if (!text)
        return FALSE;
    gst_util_set_object_arg(G_OBJECT(text), "valignment", "top");
    gst_util_set_object_arg(G_OBJECT(text), "halignment", "left");
    gst_util_set_object_arg(G_OBJECT(text), "line-alignment", "left");
    g_object_set(text, "shaded-background", TRUE, NULL);
    gst_bin_add(GST_BIN(self), text);
    gst_ghost_pad_set_target(GST_GHOST_PAD(self->src), NULL);
    gst_element_link_pads(GST_ELEMENT(self->core), "src", text, "video_sink");
    end_with(self, text);
    self->text = text;
    return TRUE;
}

static void remove_overlay(GstVitrine *self) {
    gst_ghost_pad_set_target(GST_GHOST_PAD(self->src), NULL);
    gst_element_set_state(self->text, GST_STATE_NULL);
    gst_bin_remove(GST_BIN(self), self->text);
    self->text = NULL;
    end_with(self, GST_ELEMENT(self->core));
}

/* Has the inside as `overlay` says, while nothing flows; FALSE where there is no textoverlay. */
static gboolean arrange(GstVitrine *self) {
    GST_OBJECT_LOCK(self);
    const gboolean wanted = self->settings.overlay;
    GST_OBJECT_UNLOCK(self);
    if (wanted && !self->text)
        return add_overlay(self);
    if (!wanted && self->text)
        remove_overlay(self);
    return TRUE;
}

static void complain_missing(GstVitrine *self) {
    gst_element_post_message(GST_ELEMENT(self),
                             gst_missing_element_message_new(GST_ELEMENT(self), "textoverlay"));
    GST_ELEMENT_ERROR(
        self, CORE, MISSING_PLUGIN,
        ("The element textoverlay is missing, which overlay=true needs; Debian has it "
         "in gstreamer1.0-x"),
        (NULL));
}

/* ---- results ------------------------------------------------------------------------------ */

/* In the streaming thread: the text is that of the frame which textoverlay gets next. */
static void on_result(gpointer user, const GstVitrineMeta *meta, const GstBuffer *buffer,
                      const GstSegment *segment) {
    GstVitrine *self = GST_VITRINE(user);
    GST_OBJECT_LOCK(self);
    const gboolean post = self->settings.post_messages;
    GST_OBJECT_UNLOCK(self);
    if (post)
        gst_element_post_message(
            GST_ELEMENT(self),
            gst_message_new_element(GST_OBJECT(self),
                                    gst_vitrine_meta_to_structure(meta, buffer, segment)));
    if (self->text) {
        gchar *text = gst_vitrine_meta_to_markup(meta);
        g_object_set(self->text, "text", text, NULL);
        g_free(text);
    }
}

/* ---- state -------------------------------------------------------------------------------- */

static GstStateChangeReturn change_state(GstElement *element, GstStateChange transition) {
    GstVitrine *self = GST_VITRINE(element);
    switch (transition) {
    case GST_STATE_CHANGE_READY_TO_PAUSED:
        if (!arrange(self)) {
            complain_missing(self);
            return GST_STATE_CHANGE_FAILURE;
        }
        if (self->text)
            g_object_set(self->text, "text", "", NULL);
        break;
    case GST_STATE_CHANGE_PAUSED_TO_READY: /* pads close once the frame at hand is through */
        gst_vitrine_core_interrupt(self->core);
        break;
    default:
        break;
    }
    return GST_ELEMENT_CLASS(gst_vitrine_parent_class)->change_state(element, transition);
}

/* ---- properties --------------------------------------------------------------------------- */

static void set_property(GObject *object, guint id, const GValue *value, GParamSpec *pspec) {
    GstVitrine *self = GST_VITRINE(object);
    (void)pspec;
    GST_OBJECT_LOCK(self);
    gst_vitrine_settings_set(&self->settings, id, value);
    gst_vitrine_core_configure(self->core, &self->settings);
    const gboolean still =
        GST_STATE(self) <= GST_STATE_READY && GST_STATE_PENDING(self) == GST_STATE_VOID_PENDING;
    GST_OBJECT_UNLOCK(self);
    if (still) /* so that textoverlay's own properties can be set next; a failure is told at the
                  start */
        arrange(self);
}

static void get_property(GObject *object, guint id, GValue *value, GParamSpec *pspec) {
    GstVitrine *self = GST_VITRINE(object);
    (void)pspec;
    if (id == PROP_STATS) {
        g_value_take_boxed(value, gst_vitrine_core_stats(self->core));
        return;
    }
    GST_OBJECT_LOCK(self);
    gst_vitrine_settings_get(&self->settings, id, value);
    GST_OBJECT_UNLOCK(self);
}

/* ---- the class ---------------------------------------------------------------------------- */

static void finalize(GObject *object) {
    gst_vitrine_settings_clear(&GST_VITRINE(object)->settings);
    G_OBJECT_CLASS(gst_vitrine_parent_class)->finalize(object);
}

static void gst_vitrine_class_init(GstVitrineClass *klass) {
    GObjectClass *object = G_OBJECT_CLASS(klass);
    GstElementClass *element = GST_ELEMENT_CLASS(klass);
    object->set_property = set_property;
    object->get_property = get_property;
    object->finalize = finalize;
    gst_vitrine_settings_install(object);
    g_object_class_install_property(
        object, PROP_STATS,
        g_param_spec_boxed(
            "stats", "Statistics",
            "Frames since the start: all, analysed, skipped by interval, late; time in "
            "analysis and latency, in nanoseconds",
            GST_TYPE_STRUCTURE, G_PARAM_READABLE | G_PARAM_STATIC_STRINGS));
    element->change_state = change_state;
    gst_element_class_add_static_pad_template(element, &sink_template);
    gst_element_class_add_static_pad_template(element, &src_template);
    gst_element_class_set_static_metadata(
        element, "Vision transformer classifier", "Filter/Analyzer/Video",
        "Names what is in the picture: attaches classes and scores to frames and posts them as "
        "messages",
        "The vitrine authors");
}

static void gst_vitrine_init(GstVitrine *self) {
    GstPadTemplate *templ;
    GstPad *pad;
    gst_vitrine_settings_init(&self->settings);
    self->core = g_object_new(GST_TYPE_VITRINE_CORE, "name", "core", NULL);
    gst_vitrine_core_on_result(self->core, on_result, self);
    gst_bin_add(GST_BIN(self), GST_ELEMENT(self->core));

    templ = gst_static_pad_template_get(&sink_template);
    pad = gst_element_get_static_pad(GST_ELEMENT(self->core), "sink");
    gst_element_add_pad(GST_ELEMENT(self), gst_ghost_pad_new_from_template("sink", pad, templ));
    gst_object_unref(pad);
    gst_object_unref(templ);

    templ = gst_static_pad_template_get(&src_template);
    self->src = gst_ghost_pad_new_no_target_from_template("src", templ);
    gst_element_add_pad(GST_ELEMENT(self), self->src);
    gst_object_unref(templ);
    end_with(self, GST_ELEMENT(self->core));
}
