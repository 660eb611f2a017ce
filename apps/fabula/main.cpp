#include <cstdio>
#include <exception>
#include <new>

#include "commands.hpp"
#include "fabula/error.hpp"

int main(int argc, char** argv) {
  try {
    return fabula::app::run_command_line(argc, argv);
  } catch (const fabula::Error& error) {
    std::fprintf(stderr, "fabula: %s\n", error.what());
    return error.code() == fabula::ErrorCode::kInvalidArgument ? 2 : 1;
  } catch (const std::bad_alloc&) {
    std::fprintf(stderr, "fabula: out of host memory\n");
  } catch (const std::exception& error) {
    std::fprintf(stderr, "fabula: %s (this is a bug in fabula; please report it)\n", error.what());
  }
  return 1;
}
