// Tells a story, token by token: story MODEL [PROMPT [DEVICE]]. MODEL is a folder as `fabula train` or Hugging Face
// write it; DEVICE an index or part of a name, as `fabula devices` lists them.
#include <fabula/fabula.h>
#include <stdio.h>

static int failed(const char* what) {
  fprintf(stderr, "story: %s: %s\n", what, fabula_last_message());
  return 1;
}

static int show(void* user, const fabula_token* token) {
  (void)user;
  fwrite(token->piece, 1, token->piece_bytes, stdout);
  return fflush(stdout);  // what reads may be gone: the story ends then
}

static int tell(fabula_session* session, const char* prompt) {
  fabula_text_options options = fabula_text_options_default();
  options.max_tokens = 200;
  printf("%s", prompt);
  if (fabula_generate(session, prompt, &options, show, NULL, NULL) != FABULA_OK) return failed("the story");
  return printf("\n") < 0;
}

int main(int argc, char** argv) {
  fabula_device_options where = fabula_device_options_default();
  fabula_device* device = NULL;
  fabula_model* model = NULL;
  fabula_session* session = NULL;
  int result = 1;
  if (argc < 2 || argc > 4) {
    fprintf(stderr, "usage: story MODEL [PROMPT [DEVICE]]\n");
    return 2;
  }
  if (argc > 3) where.device = argv[3];
  if (fabula_check_version(FABULA_VERSION) != FABULA_OK) return failed("the library");
  if (fabula_model_open(argv[1], NULL, &model) != FABULA_OK)
    result = failed("the model");
  else if (fabula_device_open(&where, &device) != FABULA_OK)
    result = failed("the device");
  else if (fabula_session_open(device, model, NULL, &session) != FABULA_OK)
    result = failed("the session");
  else
    result = tell(session, argc > 2 ? argv[2] : "Once upon a time");
  fabula_session_close(session);  // of what was not opened, this is an error that nobody minds
  fabula_device_close(device);
  fabula_model_close(model);
  return result;
}
