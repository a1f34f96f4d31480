// As lib_plugin_two.cc, linked without a build id.
#include "lib_plugin_two.cc"
