exports.greeting = "hello from the workspace";
