// The lines the tracer may write: to stderr, once, and only when something is wrong.
#ifndef ALLOCLINE_TRACER_NOTICE_H_
#define ALLOCLINE_TRACER_NOTICE_H_

#include "recording/writer.h"

namespace allocline {

// Remembers what stderr is now. Later, descriptor 2 may be the program's data file; then nothing is written.
void InitNotice();

// Says once what is wrong with the recording (disk full, output refused), if anything is. Cheap when nothing is.
void NoteTrouble(const RecordingWriter& recording);

// Says that a setting of the environment is not understood, and what `instead` is done.
void NoteBadSetting(const char* name, const char* value, const char* instead);

// Says why the frames of Python are not recorded: a PythonBit.
void NotePython(const RecordingWriter& recording, uint32_t why);

// Says that the program runs untraced, and why.
void NoteCannotStart(const RecordingWriter& recording);

}  // namespace allocline

#endif  // ALLOCLINE_TRACER_NOTICE_H_
