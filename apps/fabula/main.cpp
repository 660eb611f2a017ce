#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <new>
#include <system_error>

#include "base/environment.hpp"
#include "base/log.hpp"
#include "base/signals.hpp"
#include "base/terminal.hpp"
#include "commands.hpp"
#include "fabula/error.hpp"

int main(int argc, char** argv) {
  fabula::prepare_process();
  fabula::set_log_sink(fabula::stderr_sink());
  try {
    const int status = fabula::app::run_command_line(fabula::program_arguments(argc, argv));
    if (std::fflush(stdout) == 0 && !std::ferror(stdout)) return status;
    fabula::info("fabula: standard output cannot be written: {}", std::strerror(errno));
    return 1;
  } catch (const fabula::Error& error) {
    fabula::info("fabula: {}", error.what());
    return error.code() == fabula::ErrorCode::kInvalidArgument ? 2 : 1;
  } catch (const std::bad_alloc&) {
    fabula::info("fabula: out of host memory");
  } catch (const std::system_error& error) {  // of the file system or of standard output
    fabula::info("fabula: {}", error.what());
  } catch (const std::exception& error) {
    fabula::info("fabula: {} (this is a bug in fabula; please report it)", error.what());
  }
  return 1;
}
