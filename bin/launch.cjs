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
  // Needs nothing of the program: an answer in the time that Node takes to start.
  if (process.argv.length === 3 && process.argv[2] === "--version") {
    var line = program + " (composefs for Node.js) " + require("../package.json").version + "\n";
    require("fs").writeSync(1, line);
    return;
  }
  // Node 22 and newer keep compiled code between runs; where they cannot, it is just not kept.
  var enableCompileCache = require("module").enableCompileCache;
  if (enableCompileCache) enableCompileCache();
  var path = require("path");
  var bundle = path.join(__dirname, "../dist/cli/programs", program + ".cjs");
  if (!require("fs").existsSync(bundle)) {
    fail(program, "is not built yet: run `npm run build` in " + path.dirname(__dirname));
    return;
  }
  require(bundle);
};

function fail(program, reason) {
  console.error(program + ": " + reason);
  process.exitCode = 1;
}
