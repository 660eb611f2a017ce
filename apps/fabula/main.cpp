#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <new>
#include <system_error>

#include "commands.hpp"
#include "fabula/error.hpp"

int main(int argc, char** argv) {
  try {
    const int status = fabula::app::run_command_line(argc, argv);
    if (std::fflush(stdout) == 0 && !std::ferror(stdout)) return status;
    std::fprintf(stderr, "fabula: standard output cannot be written: %s\n", std::strerror(errno));
    return 1;
  } catch (const fabula::Error& error) {
    std::fprintf(stderr, "fabula: %s\n", error.what());
    return error.code() == fabula::ErrorCode::kInvalidArgument ? 2 : 1;
  } catch (const std::bad_alloc&) {
    std::fprintf(stderr, "fabula: out of host memory\n");
  } catch (const std::system_error& error) {  // of the file system or of standard output
    std::fprintf(stderr, "fabula: %s\n", error.what());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "fabula: %s (this is a bug in fabula; please report it)\n", error.what());
  }
  return 1;
}
