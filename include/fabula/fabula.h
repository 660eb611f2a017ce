#ifndef FABULA_FABULA_H
#define FABULA_FABULA_H
#include <stddef.h>
#include <stdint.h>

/// # fabula's C interface
///
/// Tells stories with a small language model on a Vulkan device. C99; `fabula/fabula.hpp` is the same for C++17.
///
/// - **Status.** A function returns `FABULA_OK` or what went wrong; `fabula_last_message` then says it in words, for
///   the calling thread. Results come back through pointers and are left alone where a call fails.
/// - **Handles** are opaque, and are told apart from those that were closed already and from those of another kind.
///   Closing ends a handle: what stands on it keeps what it needs, so the order in which handles are closed does not
///   matter.
/// - **Threads.** Any function may be called from any thread. Calls for one session or one device wait for each other,
///   and never for a callback.
/// - **Structs** that go in or come out begin with their size, in bytes, as the caller was compiled. A field that a
///   caller does not know yet keeps its default; what the library does not know yet must be 0, and is refused
///   otherwise.
/// - **Callbacks** are called by the thread whose call they were given to, before that call returns. What they are
///   given lives until they return. One that takes its time delays that call alone. An exception that leaves one does
///   not pass: it ends the call with `FABULA_CALLBACK_FAILED`, and the text that it was about.
/// - **Texts** are UTF-8 and end with a zero byte where no length is given. Paths too.
/// - The library prints nothing (`fabula_set_log`), installs no handlers and starts no device before it is asked for
///   one. One exception: a handler of SIGBUS, there from the first model on that is read from files; it passes on what
///   is not its own.

#if defined(_WIN32)
#if defined(FABULA_BUILDING)
#define FABULA_API __declspec(dllexport)
#elif defined(FABULA_STATIC)
#define FABULA_API
#else
#define FABULA_API __declspec(dllimport)
#endif
#elif defined(__GNUC__)
#define FABULA_API __attribute__((visibility("default")))
#else
#define FABULA_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/// ## Version
///
/// Of this header, as major * 10000 + minor * 100 + patch.
#define FABULA_VERSION 100

/// Of the library: the number, and "0.1.0".
FABULA_API uint32_t fabula_version(void);
FABULA_API const char* fabula_version_text(void);

/// ## Status and message
///
/// What became of a call.
typedef enum fabula_status {
  FABULA_OK = 0,
  FABULA_INVALID_ARGUMENT = 1,  ///< a value or a handle that cannot be honoured, a device that is not there
  FABULA_NOT_FOUND = 2,         ///< a file or a tensor is not there
  FABULA_IO = 3,                ///< reading failed
  FABULA_FORMAT = 4,            ///< a file is not what it should be
  FABULA_UNSUPPORTED = 5,       ///< valid, but not possible with this library or device
  FABULA_DEVICE = 6,            ///< no Vulkan loader, no device, or the driver refused
  FABULA_DEVICE_LOST = 7,       ///< the device stopped answering: close what stands on it
  FABULA_OUT_OF_MEMORY = 8,     ///< of the host or of the device
  FABULA_NUMERIC = 9,           ///< the model computed what is no number
  FABULA_INTERRUPTED = 10,      ///< stopped
  FABULA_INTERNAL = 11,         ///< a bug in fabula
  FABULA_BUSY = 12,             ///< no slot is free, or a call that may run once at a time runs already
  FABULA_TOO_SMALL = 13,        ///< the buffer does not hold the result; how much would is told
  FABULA_CALLBACK_FAILED = 14   ///< an exception left a callback
} fabula_status;

/// "FABULA_OK" and so on; "FABULA_UNKNOWN" for a number that is none.
FABULA_API const char* fabula_status_name(fabula_status status);

/// What went wrong in the last call of this thread that failed: what, where, and what to do. Lives until the thread's
/// next call that fails; empty where none has. Never NULL.
FABULA_API const char* fabula_last_message(void);

/// Whether the library serves a program that was compiled with a header of version `header`: `FABULA_UNSUPPORTED` where
/// the major numbers differ or the library is older, with both versions in the message. Called first, as
/// `fabula_check_version(FABULA_VERSION)`.
FABULA_API fabula_status fabula_check_version(uint32_t header);

/// ## Messages
///
/// Levels of what the library has to say.
typedef enum fabula_log_level {
  FABULA_LOG_INFO = 0,
  FABULA_LOG_WARNING = 1,
  FABULA_LOG_PROGRESS = 2  ///< replaces the last line of progress; an empty text ends it
} fabula_log_level;

/// Gets one message at a time, from any thread of the program that is in a call of the library, or from a thread of the
/// library's own. Must not call the library.
typedef void (*fabula_log_callback)(void* user, fabula_log_level level, const char* message);

/// Who gets them, for the whole process; NULL: nobody, as at the start.
FABULA_API fabula_status fabula_set_log(fabula_log_callback callback, void* user);

/// ## Devices
///
/// A Vulkan device that is open.
typedef struct fabula_device fabula_device;

/// What kind of device it is.
typedef enum fabula_device_class {
  FABULA_DEVICE_OTHER = 0,
  FABULA_DEVICE_DISCRETE = 1,
  FABULA_DEVICE_INTEGRATED = 2,
  FABULA_DEVICE_VIRTUAL = 3,
  FABULA_DEVICE_SOFTWARE = 4  ///< the processor
} fabula_device_class;

/// A device as its driver describes it.
typedef struct fabula_device_info {
  size_t size;
  const char* name;
  const char* driver;       ///< with its version
  const char* api_version;  ///< of Vulkan
  const char* why_not;      ///< why it cannot be used; empty: it can
  uint64_t memory;          ///< bytes of its largest heap
  uint32_t index;           ///< what fabula_device_options.device may be
  fabula_device_class device_class;
} fabula_device_info;

/// Returning other than 0 ends the list.
typedef int (*fabula_device_callback)(void* user, const fabula_device_info* info);

/// The machine's devices, the best first. `FABULA_DEVICE` where there is no Vulkan loader, with the package that has
/// it.
FABULA_API fabula_status fabula_list_devices(fabula_device_callback callback, void* user);

/// How to open one.
typedef struct fabula_device_options {
  size_t size;
  const char* device;     ///< index or part of the name; NULL: the best
  const char* cache_dir;  ///< where compiled kernels are kept; NULL: the user's cache folder; "none": nowhere
  uint64_t memory;        ///< bytes of device memory that may be used; 0: all
  double wait_limit;      ///< seconds after which a submission counts as lost; 0: ten minutes, an hour in software
  int32_t no_self_test;   ///< 1: kernels are not compared with references before the first work that rests on them
  int32_t reserved;       ///< 0
} fabula_device_options;

/// Defaults.
static inline fabula_device_options fabula_device_options_default(void) {
  const fabula_device_options options = {sizeof(fabula_device_options), NULL, NULL, 0, 0, 0, 0};
  return options;
}

/// Opens a device; NULL options: the best one.
FABULA_API fabula_status fabula_device_open(const fabula_device_options* options, fabula_device** device);
/// What it is; lives as long as the handle.
FABULA_API fabula_status fabula_device_describe(fabula_device* device, fabula_device_info* info);
FABULA_API fabula_status fabula_device_close(fabula_device* device);

/// The verdict on one kernel.
typedef struct fabula_check_result {
  size_t size;
  const char* op;
  const char* case_name;
  const char* variant;
  const char* detail;  ///< of a miss: output, position, expected, actual
  double worst;        ///< the largest difference over what is allowed
  int32_t ok;
} fabula_check_result;

/// Returning other than 0 ends the check.
typedef int (*fabula_check_callback)(void* user, const fabula_check_result* result);

/// How much is checked.
typedef struct fabula_check_options {
  size_t size;
  const char* filter;  ///< only ops whose name contains this; NULL: all
  int32_t repeats;     ///< runs that must agree bit by bit; 0: 3
  int32_t large;       ///< 1: the large cases too
} fabula_check_options;

/// Defaults.
static inline fabula_check_options fabula_check_options_default(void) {
  const fabula_check_options options = {sizeof(fabula_check_options), NULL, 0, 0};
  return options;
}

/// Compares the device's kernels with references on the CPU, as `fabula check --quick` does; takes minutes the first
/// time, most of it in the driver's compiler. The callback may be NULL, and so may the options and either count.
FABULA_API fabula_status fabula_device_check(fabula_device* device, const fabula_check_options* options,
                                             fabula_check_callback callback, void* user, uint64_t* checks,
                                             uint64_t* misses);

/// ## Models
///
/// Configuration, tokenizer and weights of a trained model: what a run folder of fabula or a Hugging Face folder
/// (GPT-2, GPT-Neo, Llama) holds. Needs no device.
typedef struct fabula_model fabula_model;

/// How to open one.
typedef struct fabula_model_options {
  size_t size;
  const char* weights;    ///< what matrices are stored in on the device: "fp32", "fp16", "bf16", "int8",
                          ///< "int4"; NULL: as the folder has them
  const char* end_token;  ///< the text of the token that ends a document; NULL: as the files say
} fabula_model_options;

/// Defaults.
static inline fabula_model_options fabula_model_options_default(void) {
  const fabula_model_options options = {sizeof(fabula_model_options), NULL, NULL};
  return options;
}

/// From a folder.
FABULA_API fabula_status fabula_model_open(const char* folder, const fabula_model_options* options,
                                           fabula_model** model);

/// A file of a model's folder that lies in memory.
typedef struct fabula_memory_file {
  const char* name;  ///< as in a folder: "config.json", "tokenizer.json", "model.safetensors"
  const void* data;  ///< must stay where it is until the model and its sessions are closed
  size_t bytes;
} fabula_memory_file;

/// From memory.
FABULA_API fabula_status fabula_model_open_memory(const fabula_memory_file* files, size_t count,
                                                  const fabula_model_options* options, fabula_model** model);

/// A file of a model's folder that is part of an open one, as an Android asset is (AAsset_openFileDescriptor64).
typedef struct fabula_descriptor_file {
  const char* name;    ///< as in a folder
  int32_t descriptor;  ///< of a file; a pipe or a socket is refused. May be closed when the call has returned
  int64_t offset;      ///< where it begins
  int64_t bytes;       ///< its length; -1: up to the end
} fabula_descriptor_file;

/// From descriptors: the files are mapped, so nothing is copied.
FABULA_API fabula_status fabula_model_open_descriptors(const fabula_descriptor_file* files, size_t count,
                                                       const fabula_model_options* options, fabula_model** model);

FABULA_API fabula_status fabula_model_close(fabula_model* model);

/// No token.
#define FABULA_NO_TOKEN UINT32_MAX

/// What a model is.
typedef struct fabula_model_info {
  size_t size;
  const char* family;  ///< "gpt2", "gpt_neo", "llama"
  int64_t vocabulary;  ///< tokens
  int64_t context;     ///< most positions of a text, the prompt's included
  int64_t layers, hidden;
  int64_t parameters;    ///< numbers
  int64_t shortlist;     ///< tokens that the head gives a group of their own
  int64_t groups;        ///< the head's other groups; 0: the head has one level
  uint32_t start_token;  ///< what stands before a text; FABULA_NO_TOKEN: nothing does
  uint32_t end_token;    ///< what ends a document; FABULA_NO_TOKEN: nothing does
} fabula_model_info;

/// Fills as much of `info` as its size says. What it points to lives as long as the handle.
FABULA_API fabula_status fabula_model_describe(fabula_model* model, fabula_model_info* info);

/// ## Tokenizer
///
/// The tokens of a text of `bytes` bytes. With `added_tokens` 1, tokens such as <|endoftext|> are recognised, else
/// their text is ordinary text. `count` is how many there are; where `capacity` is less, `FABULA_TOO_SMALL` is returned
/// and `ids` holds the first ones. To ask for the count alone, give capacity 0.
FABULA_API fabula_status fabula_encode(fabula_model* model, const char* text, size_t bytes, int32_t added_tokens,
                                       uint32_t* ids, size_t capacity, size_t* count);

/// The bytes of a text that begins with these tokens: not valid UTF-8 in general. `bytes` is how many there are,
/// without a zero byte at the end, which is written where there is room. Otherwise as `fabula_encode`.
FABULA_API fabula_status fabula_decode(fabula_model* model, const uint32_t* ids, size_t count, char* text,
                                       size_t capacity, size_t* bytes);

/// ## Sessions
///
/// A model on a device with a cache for some texts at once: each takes a slot while it is written.
typedef struct fabula_session fabula_session;

/// How to open one.
typedef struct fabula_session_options {
  size_t size;
  int64_t slots;      ///< texts at once, 1 to 64; 0: one
  int64_t context;    ///< positions a slot keeps; 0: as many as the model has
  const char* cache;  ///< what keys and values are stored in: "fp32" (NULL), "fp16" or "bf16"
  int32_t score;      ///< 1: fabula_session_score, _distribution and _inspect can be called; takes memory
  int32_t levels;     ///< 1: tokens are told with both levels; a submission a token, so it takes time
} fabula_session_options;

/// Defaults.
static inline fabula_session_options fabula_session_options_default(void) {
  const fabula_session_options options = {sizeof(fabula_session_options), 0, 0, NULL, 0, 0};
  return options;
}

/// Puts the model on the device.
FABULA_API fabula_status fabula_session_open(fabula_device* device, fabula_model* model,
                                             const fabula_session_options* options, fabula_session** session);

/// Its texts end as cancelled ones do: a call that is under way in another thread returns within a submission, and what
/// the session holds is freed then.
FABULA_API fabula_status fabula_session_close(fabula_session* session);

/// Added to a token's log-probability before each draw; -1e30: the token is never drawn.
typedef struct fabula_bias {
  uint32_t id;
  float bias;
} fabula_bias;

/// How a text is written. In this order: penalties and biases move log-probabilities; temperature; then top_k, top_p of
/// what that leaves, min_p.
typedef struct fabula_text_options {
  size_t size;
  int64_t max_tokens;
  uint64_t seed;              ///< the same seed and options give the same text
  double temperature;         ///< 0: always the likeliest token
  double top_p;               ///< only the smallest set whose probability reaches this
  double min_p;               ///< only tokens this probable, relative to the likeliest
  double repetition_penalty;  ///< log p of tokens of prompt and text is multiplied by this
  double presence_penalty;    ///< taken from log p of tokens of the text, once ...
  double frequency_penalty;   ///< ... and this for each time
  const fabula_bias* biases;
  size_t bias_count;
  const char* const* stops;  ///< the text ends before any of these
  size_t stop_count;
  uint32_t top_k;    ///< only the k likeliest; 0: all
  uint32_t top;      ///< of each token, how many of the likeliest are told; at most 20
  int32_t slide;     ///< 1: a text that outgrows the context goes on with its later half, else it ends
  int32_t reserved;  ///< 0
} fabula_text_options;

/// Defaults.
static inline fabula_text_options fabula_text_options_default(void) {
  const fabula_text_options options = {
      sizeof(fabula_text_options), 200, 0, 0.8, 1, 0, 1, 0, 0, NULL, 0, NULL, 0, 0, 0, 0, 0};
  return options;
}

/// Why a text ended.
typedef enum fabula_finish {
  FABULA_FINISH_NONE = 0,       ///< it goes on
  FABULA_FINISH_STOP = 1,       ///< a token that ends documents, or a stop text
  FABULA_FINISH_LENGTH = 2,     ///< max_tokens, or the context is full
  FABULA_FINISH_CANCELLED = 3,  ///< fabula_session_cancel, or the callback said so
  FABULA_FINISH_NUMERIC = 4     ///< the model gave no finite log-probability of any token
} fabula_finish;

/// A token that could have stood there.
typedef struct fabula_likely {
  uint32_t id;
  float log_p;
} fabula_likely;

/// What became of a text since the last time. Every text ends with one event whose finish is not FABULA_FINISH_NONE.
typedef struct fabula_token {
  size_t size;
  int64_t text;       ///< its number
  const char* piece;  ///< what can be shown of it since: none of a stop text, whole characters as far as the model
                      ///< writes them whole; ends with a zero byte
  size_t piece_bytes;
  const fabula_likely* top;  ///< the likeliest tokens, as many as were asked for
  size_t top_count;
  double log_p;  ///< of the token, as the model has it: log p(group) + log p(token given group)
  double
      group_log_p;  ///< log p(group); not a number without fabula_session_options.levels, or where there is one level
  double token_log_p;  ///< log p(token given group); the same
  int64_t group;       ///< the shortlist's tokens are groups of one and come first; -1 where it is not told
  uint32_t id;         ///< a token that ends the text is told too; FABULA_NO_TOKEN: what was held back, and the end
  fabula_finish finish;
} fabula_token;

/// Returning other than 0 ends the text; nothing more is told of it.
typedef int (*fabula_token_callback)(void* user, const fabula_token* token);

/// How a text went.
typedef struct fabula_text_result {
  size_t size;
  int64_t text;           ///< its number
  int64_t prompt_tokens;  ///< with what stands before a text
  int64_t tokens;         ///< written, one that ends the text included
  fabula_finish finish;
} fabula_text_result;

/// Writes one text from a prompt, which is taken as the start of a document, to its end: a slot, `fabula_session_begin`
/// and `fabula_session_next` in one. Threads that write in one session at the same time share its submissions. NULL may
/// stand for prompt (a new document), options, callback and result. `FABULA_BUSY` where no slot is free.
FABULA_API fabula_status fabula_generate(fabula_session* session, const char* prompt,
                                         const fabula_text_options* options, fabula_token_callback callback, void* user,
                                         fabula_text_result* result);

/// Begins a text in a free slot and gives it a number, which no other text of the session gets. `FABULA_BUSY` where no
/// slot is free.
FABULA_API fabula_status fabula_session_begin(fabula_session* session, const char* prompt,
                                              const fabula_text_options* options, int64_t* text);
/// The same from tokens, as they are: nothing is put before them.
FABULA_API fabula_status fabula_session_begin_tokens(fabula_session* session, const uint32_t* ids, size_t count,
                                                     const fabula_text_options* options, int64_t* text);

/// Up to `tokens` more tokens of every text that was begun, in one submission (1 to 16; 0: as many as take a few
/// hundredths of a second), and then the callback for each. What `fabula_generate` in another
/// thread brought them meanwhile is kept, and told first. `active` gets how many of them go on. One thread at a time,
/// and not from its own callback: `FABULA_BUSY`.
FABULA_API fabula_status fabula_session_next(fabula_session* session, int32_t tokens, fabula_token_callback callback,
                                             void* user, size_t* active);

/// All texts of a session that have been begun.
#define FABULA_ALL_TEXTS ((int64_t)-1)

/// Ends a text, or all of them, from any thread or callback, and does not wait: those that write it are told
/// `FABULA_FINISH_CANCELLED` at the next submission. A text that is over already, or begins later, is not concerned.
FABULA_API fabula_status fabula_session_cancel(fabula_session* session, int64_t text);

/// ## Log-probabilities
///
/// What a model thinks of a token. The two levels are those of a head with groups, else not numbers.
typedef struct fabula_score {
  double log_p;        ///< log p(token) = log p(group) + log p(token given group)
  double group_log_p;  ///< log p(group)
  double token_log_p;  ///< log p(token given group)
  int64_t group;       ///< -1: the head has one level
} fabula_score;

/// What the model thinks of each token of a text behind those before it: `count` scores, the first of which are not
/// numbers, since nothing stands before it (begin with fabula_model_info.start_token). Uses a free slot for as long as
/// it takes.
FABULA_API fabula_status fabula_session_score(fabula_session* session, const uint32_t* ids, size_t count,
                                              fabula_score* scores);

/// log p of every token of the vocabulary behind a text: as many numbers as the model has tokens; `FABULA_TOO_SMALL`
/// where `capacity` is less.
FABULA_API fabula_status fabula_session_distribution(fabula_session* session, const uint32_t* ids, size_t count,
                                                     float* log_p, size_t capacity);

/// Where an entry of an inspection stands.
typedef enum fabula_level {
  FABULA_LEVEL_JOINT = 0,  ///< a token: log p(token)
  FABULA_LEVEL_GROUP = 1,  ///< a group: log p(group)
  FABULA_LEVEL_TOKEN = 2   ///< a token of the group told last: log p(token given group)
} fabula_level;

/// One of the likeliest of its level, or what was asked for.
typedef struct fabula_entry {
  size_t size;
  double log_p;
  int64_t group;       ///< -1 at FABULA_LEVEL_JOINT
  int64_t group_size;  ///< tokens in the group; 0 at FABULA_LEVEL_JOINT
  uint32_t id;         ///< FABULA_NO_TOKEN at FABULA_LEVEL_GROUP
  fabula_level level;
  int32_t chosen;  ///< 1: the token that was asked for, or its group
} fabula_entry;

/// Returning other than 0 ends the list.
typedef int (*fabula_entry_callback)(void* user, const fabula_entry* entry);

/// How a token was chosen behind a text: the `most` likeliest tokens, then the `most` likeliest groups, each followed
/// by its likeliest tokens; the token and its group are among them in any case. A head with one level has the first
/// list alone.
FABULA_API fabula_status fabula_session_inspect(fabula_session* session, const uint32_t* ids, size_t count,
                                                uint32_t token, size_t most, fabula_entry_callback callback,
                                                void* user);

#ifdef __cplusplus
}
#endif
#endif
