// Runs Khronos' gltf-validator on files and prints one JSON object: {file: report}.
// Usage: node khronos_validate.js FOLDER_WITH_NODE_MODULES MAX_ISSUES < file names, one JSON array
const fs = require("node:fs");
const path = require("node:path");
const { createRequire } = require("node:module");

/** Bytes of a file beside the mesh; a pipe, a device or a link is not waited for. */
function regular(file) {
  if (!fs.lstatSync(file).isFile()) throw new Error(`${file} is no regular file`);
  return new Uint8Array(fs.readFileSync(file));
}

async function main() {
  const validator = createRequire(path.join(process.argv[2], "from_here.js"))("gltf-validator");
  const reports = {};
  for (const file of JSON.parse(fs.readFileSync(0, "utf8"))) {
    const folder = path.dirname(path.resolve(file));
    try {
      reports[file] = await validator.validateBytes(new Uint8Array(fs.readFileSync(file)), {
        maxIssues: Number(process.argv[3]),
        externalResourceFunction: async (uri) => regular(path.join(folder, path.basename(decodeURIComponent(uri)))),
      });
    } catch (error) {
      reports[file] = { refused: String(error) };
    }
  }
  process.stdout.write(JSON.stringify(reports));
}

main().catch((error) => {
  console.error(String(error));
  process.exitCode = 1;
});
