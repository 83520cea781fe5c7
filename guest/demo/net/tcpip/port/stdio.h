/* SPDX-License-Identifier: MIT */
/* lwIP includes it; nothing of it is used here. */
