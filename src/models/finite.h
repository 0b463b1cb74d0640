/* SPDX-License-Identifier: MIT
 *
 * Weights and results that are no numbers.
 */
#ifndef VT_MODELS_FINITE_H
#define VT_MODELS_FINITE_H

#include "models/session.h"

/* Whether all weights that the model uses are finite: VT_ERR_NOT_FINITE names the first tensor with
 * one that is not. The matrices of a packed file have no names, and are told by their numbers. */
vt_status vt_check_weights_finite(const vt_model *model, vt_error *err);

/* Whether what the pass computed for its pictures, or texts, is finite. Where it is not, the
 * session's status is set, and vt_session_leave says which result of which picture. A step along a
 * text (not `pooled`) has no vector of the whole. */
void vt_check_pictures_finite(vt_session *session);
void vt_check_texts_finite(vt_session *session, bool pooled);

#endif
