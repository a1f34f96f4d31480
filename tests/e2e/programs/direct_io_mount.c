// A file system that cannot map files with MAP_SHARED, as some network file systems and FUSE ones cannot:
//   direct_io_mount DIRECTORY PROGRAM [ARGUMENT...]
// mounts one over DIRECTORY, in a mount namespace of its own, runs PROGRAM, and ends with its exit code; with 77 where
// that is not allowed. Files are opened with FOPEN_DIRECT_IO, for which the kernel's fuse refuses shared mappings. It
// speaks the protocol of /dev/fuse itself: one directory, one file in it at a time, kept in memory.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { kNotAllowed = 77, kFile = 2, kFileCapacity = 1 << 20, kRequestCapacity = FUSE_MIN_READ_BUFFER + (1 << 17) };

static int device;
static char name[256];  // of the file; empty: there is none
static uint64_t size;
static char content[kFileCapacity];

static void Reply(uint64_t unique, int error, const void* body, size_t bytes) {
  static char buffer[sizeof(struct fuse_out_header) + kFileCapacity];
  struct fuse_out_header header = {.len = (uint32_t)(sizeof header + bytes), .error = -error, .unique = unique};
  memcpy(buffer, &header, sizeof header);
  memcpy(buffer + sizeof header, body, bytes);
  // A request that was interrupted meanwhile has no one to answer: not our error.
  if (write(device, buffer, header.len) < 0 && errno != ENOENT) _exit(1);
}
static void Fail(uint64_t unique, int error) { Reply(unique, error, "", 0); }

static struct fuse_attr AttributesOf(uint64_t node) {
  struct fuse_attr attributes = {.ino = node, .nlink = 1, .blksize = 4096};
  attributes.mode = node == FUSE_ROOT_ID ? S_IFDIR | 0777 : S_IFREG | 0600;
  attributes.size = node == FUSE_ROOT_ID ? 4096 : size;
  attributes.uid = getuid();
  return attributes;
}
static struct fuse_entry_out EntryOfFile(void) {
  return (struct fuse_entry_out){.nodeid = kFile, .attr = AttributesOf(kFile)};
}

static void Initialise(uint64_t unique, const struct fuse_init_in* in) {
  struct fuse_init_out out = {.major = FUSE_KERNEL_VERSION, .minor = FUSE_KERNEL_MINOR_VERSION};
  out.max_readahead = in->max_readahead;
  out.max_write = 1 << 17;
  Reply(unique, 0, &out, sizeof out);
}

static void Create(uint64_t unique, const struct fuse_create_in* in) {
  struct {
    struct fuse_entry_out entry;
    struct fuse_open_out open;
  } out;
  strncpy(name, (const char*)(in + 1), sizeof name - 1);
  size = 0;
  out.entry = EntryOfFile();
  out.open = (struct fuse_open_out){.open_flags = FOPEN_DIRECT_IO};
  Reply(unique, 0, &out, sizeof out);
}

static void Write(uint64_t unique, const struct fuse_write_in* in) {
  if (in->offset + in->size > kFileCapacity) return Fail(unique, ENOSPC);
  memcpy(content + in->offset, in + 1, in->size);
  if (size < in->offset + in->size) size = in->offset + in->size;
  const struct fuse_write_out out = {.size = in->size};
  Reply(unique, 0, &out, sizeof out);
}

static void Read(uint64_t unique, const struct fuse_read_in* in) {
  const uint64_t left = in->offset < size ? size - in->offset : 0;
  Reply(unique, 0, content + (left > 0 ? in->offset : 0), in->size < left ? in->size : left);
}

static void Allocate(uint64_t unique, const struct fuse_fallocate_in* in) {
  if (in->offset + in->length > kFileCapacity) return Fail(unique, ENOSPC);
  if (size < in->offset + in->length) size = in->offset + in->length;
  Fail(unique, 0);
}

static void SetAttributes(uint64_t unique, uint64_t node, const struct fuse_setattr_in* in) {
  if ((in->valid & FATTR_SIZE) != 0 && node == kFile && in->size <= kFileCapacity) size = in->size;
  const struct fuse_attr_out out = {.attr = AttributesOf(node)};
  Reply(unique, 0, &out, sizeof out);
}

static void Answer(const struct fuse_in_header* in, const void* body) {
  const struct fuse_attr_out attributes = {.attr = AttributesOf(in->nodeid)};
  const struct fuse_open_out opened = {.open_flags = FOPEN_DIRECT_IO};
  const struct fuse_entry_out entry = EntryOfFile();
  switch (in->opcode) {
    case FUSE_INIT:
      return Initialise(in->unique, body);
    case FUSE_LOOKUP:
      if (name[0] == '\0' || strcmp(body, name) != 0) return Fail(in->unique, ENOENT);
      return Reply(in->unique, 0, &entry, sizeof entry);
    case FUSE_GETATTR:
      return Reply(in->unique, 0, &attributes, sizeof attributes);
    case FUSE_SETATTR:
      return SetAttributes(in->unique, in->nodeid, body);
    case FUSE_CREATE:
      return Create(in->unique, body);
    case FUSE_OPEN:
    case FUSE_OPENDIR:
      return Reply(in->unique, 0, &opened, sizeof opened);
    case FUSE_WRITE:
      return Write(in->unique, body);
    case FUSE_READ:
      return Read(in->unique, body);
    case FUSE_FALLOCATE:
      return Allocate(in->unique, body);
    case FUSE_UNLINK:
      name[0] = '\0';
      return Fail(in->unique, 0);
    case FUSE_READDIR:  // nothing is listed: the directory's files are asked for by name
    case FUSE_FLUSH:
    case FUSE_RELEASE:
    case FUSE_RELEASEDIR:
    case FUSE_ACCESS:
      return Fail(in->unique, 0);
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET:
    case FUSE_INTERRUPT:
      return;  // not answered
    default:
      return Fail(in->unique, ENOSYS);
  }
}

static void Serve(void) {
  static char request[kRequestCapacity] __attribute__((aligned(8)));
  for (;;) {
    const ssize_t bytes = read(device, request, sizeof request);
    if (bytes < 0 && errno == ENODEV) _exit(0);  // unmounted
    if (bytes < (ssize_t)sizeof(struct fuse_in_header)) continue;
    Answer((const struct fuse_in_header*)request, request + sizeof(struct fuse_in_header));
  }
}

int main(int argc, char** argv) {
  if (argc < 3) return kNotAllowed;
  device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
  char options[128];
  snprintf(options, sizeof options, "fd=%d,rootmode=40777,user_id=%u,group_id=%u", device, getuid(), getgid());
  if (device < 0 || unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
      mount("direct_io", argv[1], "fuse", 0, options) != 0) {
    return kNotAllowed;
  }
  const pid_t server = fork();
  if (server == 0) Serve();
  const pid_t program = fork();
  if (program == 0) {
    const char* library = getenv("PRELOAD");  // for the program alone, not for us
    if (library != NULL) setenv("LD_PRELOAD", library, 1);
    execv(argv[2], argv + 2);
    _exit(127);
  }
  int status = 0;
  waitpid(program, &status, 0);
  umount2(argv[1], MNT_DETACH);
  waitpid(server, NULL, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
