// Tells a story, token by token: story MODEL [PROMPT [DEVICE]]. MODEL is a folder as `fabula train` or Hugging Face
// write it; DEVICE an index or part of a name, as `fabula devices` lists them.
#include <exception>
#include <fabula/fabula.hpp>
#include <iostream>

int main(int argc, char** argv) {
  if (argc < 2 || argc > 4) {
    std::cerr << "usage: story MODEL [PROMPT [DEVICE]]\n";
    return 2;
  }
  try {
    const std::string prompt = argc > 2 ? argv[2] : "Once upon a time";
    fabula::DeviceOptions where;
    if (argc > 3) where.device = argv[3];
    const fabula::Model model(argv[1]);
    const fabula::Device device(where);
    fabula::Session session(device, model);
    std::cout << prompt;
    session.generate(prompt, {}, [](const fabula::Token& token) {
      return static_cast<bool>(std::cout << token.piece << std::flush);  // what reads may be gone: the story ends then
    });
    std::cout << std::endl;
    return std::cout ? 0 : 1;
  } catch (const std::exception& error) {
    std::cerr << "story: " << error.what() << "\n";
    return 1;
  }
}
