// As lib_plugin_one.cc, linked without a build id.
#include "lib_plugin_one.cc"
