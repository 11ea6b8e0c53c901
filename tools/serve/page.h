/* The page at /hy: one document that needs nothing else and polls /hy/state. */
#pragma once
extern const char page_html[];
