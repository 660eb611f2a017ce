#pragma once

namespace fabula {

/// While it lives, the first SIGINT, SIGTERM or SIGHUP asks the program to stop (requested() turns true) and the second
/// of a kind ends it at once with the signal's default action. A SIGHUP that was ignored before stays so: that is what
/// nohup asks for. For the program alone, one at a time; a signal handler's flag has to be global, so it is hidden
/// here.
class StopSignals {
 public:
  StopSignals();
  /// Puts the former handlers back.
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  bool requested() const;
};

/// What a program does first of all, before it opens a file or starts a thread:
/// - standard descriptors that it was started without are opened on /dev/null, or the next files opened would get
///   their numbers and what is printed; what goes to standard output still fails to be written, and is an error;
/// - the soft limit of open files is raised to the hard one: texts and shards may be a thousand;
/// - SIGXFSZ is ignored, so that a file-size limit (ulimit -f) is an error of the write for every file, those of
///   libraries and drivers included;
/// - SIGINT, SIGTERM and SIGHUP, unless ignored, remove temporary files before they end the program.
void prepare_process();

}  // namespace fabula
