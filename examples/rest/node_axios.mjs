// Cut one photo with axios (npm install axios).
//
//   node examples/rest/node_axios.mjs photo.jpg cutout.png
//   node examples/rest/node_axios.mjs photo.jpg mask.png fg-mask
//
// ALPHACUT_URL is where the service is, ALPHACUT_API_KEY the key, if it wants one.
import { readFile, writeFile } from 'node:fs/promises'
import { basename } from 'node:path'
import axios from 'axios'

const key = process.env.ALPHACUT_API_KEY
const service = axios.create({
  baseURL: process.env.ALPHACUT_URL ?? 'http://127.0.0.1:8080',
  headers: key ? { 'X-API-KEY': key } : {},
  timeout: 60_000
})

async function cut (photo, mode) {
  const form = new FormData()
  form.append('image', new Blob([await readFile(photo)]), basename(photo))

  const { data } = await service.post('/v1/results', form, { params: { mode } })
  const [result] = data.results
  if (result.status.code === 'failure') {
    throw new Error(result.status.message)
  }
  return result
}

function explain (error) {
  // axios throws for every status but 2xx; 401, 429, 503 and 504 carry a message, 422 a detail.
  const body = error.response?.data
  return body === undefined ? error.message : `HTTP ${error.response.status}: ${body.message ?? JSON.stringify(body)}`
}

const [photo, output, mode = 'fg-image'] = process.argv.slice(2)
try {
  const result = await cut(photo, mode)
  await writeFile(output, Buffer.from(result.entities[0].image, 'base64'))
  console.log(`${result.name}: ${result.width}x${result.height} px into ${output}`)
} catch (error) {
  console.error(`${photo}: ${explain(error)}`)
  process.exitCode = 1
}
