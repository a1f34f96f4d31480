# ALLOCLINE_SANITIZE=address+undefined or thread: for the offline half and for the tracer's parts in unit tests.
# liballocline.so itself is never instrumented: it has to run under programs that are not. Code that cannot do under a
# sanitizer what it does without asks for ALLOCLINE_SANITIZED.
set(ALLOCLINE_SANITIZE_FLAGS "")
if(ALLOCLINE_FUZZ)
  # libFuzzer steers by coverage of everything that is linked in.
  set(ALLOCLINE_SANITIZE_FLAGS -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
elseif(ALLOCLINE_SANITIZE STREQUAL "address+undefined")
  set(ALLOCLINE_SANITIZE_FLAGS -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
elseif(ALLOCLINE_SANITIZE STREQUAL "thread")
  set(ALLOCLINE_SANITIZE_FLAGS -fsanitize=thread -fno-omit-frame-pointer)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # It does not model fences. Ours order what is read from a file against what another process writes to it.
    list(APPEND ALLOCLINE_SANITIZE_FLAGS -Wno-tsan)
  endif()
elseif(NOT ALLOCLINE_SANITIZE STREQUAL "")
  message(FATAL_ERROR "ALLOCLINE_SANITIZE: '${ALLOCLINE_SANITIZE}' is not address+undefined or thread")
endif()
if(ALLOCLINE_SANITIZE_FLAGS)
  add_compile_definitions(ALLOCLINE_SANITIZED)
endif()
