// Put a photo's subject before another background, with Node's own fetch (Node 18 or later; nothing to install).
//
//   node examples/rest/node_fetch.mjs photo.jpg background.jpg out.png
//
// ALPHACUT_URL is where the service is, ALPHACUT_API_KEY the key, if it wants one.
import { readFile, writeFile } from 'node:fs/promises'
import { basename } from 'node:path'

const url = process.env.ALPHACUT_URL ?? 'http://127.0.0.1:8080'
const key = process.env.ALPHACUT_API_KEY

async function blend (photo, background) {
  const form = new FormData()
  form.append('image', new Blob([await readFile(photo)]), basename(photo))
  form.append('image-bg', new Blob([await readFile(background)]), basename(background))

  const answer = await fetch(`${url}/v1/results?bg-fit=cover`, {
    method: 'POST',
    headers: key ? { 'X-API-KEY': key } : {},
    body: form, // fetch writes the Content-Type with the boundary
    signal: AbortSignal.timeout(60_000)
  })
  if (!answer.ok) {
    throw new Error(`HTTP ${answer.status}: ${await answer.text()}`)
  }
  const { results: [result] } = await answer.json()
  if (result.status.code === 'failure') {
    throw new Error(result.status.message)
  }
  return result
}

const [photo, background, output] = process.argv.slice(2)
try {
  const result = await blend(photo, background)
  await writeFile(output, Buffer.from(result.entities[0].image, 'base64'))
  console.log(`${result.name}: ${result.width}x${result.height} px into ${output}`)
} catch (error) {
  console.error(`${photo}: ${error.message}`)
  process.exitCode = 1
}
