// Starts a program of this package. Plain old JavaScript, so that an old Node gets to the message
// that says it is too old.
"use strict";

var OLDEST = [20, 20];

module.exports = function launch(program) {
  var version = process.versions.node.split(".").map(Number);
  if (version[0] < OLDEST[0] || (version[0] === OLDEST[0] && version[1] < OLDEST[1])) {
    fail(program, "needs Node.js " + OLDEST.join(".") + " or newer, this is " + process.version);
    return;
  }
  // Node 22 and newer keep compiled code between runs; where the cache cannot be written it is off.
  var enableCompileCache = require("node:module").enableCompileCache;
  if (enableCompileCache) enableCompileCache();
  var main = require("node:path").join(__dirname, "../dist/cli/main.js");
  if (!require("node:fs").existsSync(main)) {
    fail(
      program,
      "is not built yet: run `npm run build` in " + require("node:path").dirname(__dirname),
    );
    return;
  }
  import(require("node:url").pathToFileURL(main).href).then(function (module) {
    return module.main(program);
  });
};

function fail(program, reason) {
  console.error(program + ": " + reason);
  process.exitCode = 1;
}
